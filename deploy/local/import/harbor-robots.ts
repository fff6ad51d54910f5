import { REGISTRY_TOKEN_NAME } from '@registry-manager/auth-service/management'
import type { RepositoryAction } from '@registry-manager/oci'
import { parseRepositoryPattern } from '@registry-manager/oci'
import type { Static } from 'typebox'
import type { TokenEntry } from '../apply/access-file.ts'
import type { Robot } from './harbor-schemas.ts'
import type { Import } from './imported.ts'

type HarborRobot = Static<typeof Robot>
type Scope = NonNullable<NonNullable<TokenEntry['scopes']>[number]>

/** Adds a robot as a registry token. Its secret cannot be read, so the token gets a new one. */
export function addRobot(found: Import, robot: HarborRobot, nowMs: number): void {
  const leaveOut = (why: string) => found.report(`robot ${robot.name} is not imported: ${why}`)
  // Harbor's names begin with a prefix that ends with $, and have a + between project and robot.
  const name = robot.name.replace(/^[^$]*\$/, '').replaceAll('+', '-')
  if (!REGISTRY_TOKEN_NAME.test(name)) {
    return leaveOut(`${name} cannot be the name of a registry token (2 to 63 letters, digits or -)`)
  }
  if (found.hasToken(name) || found.hasUser(name.toLowerCase())) return leaveOut(`the name ${name} is taken`)
  const { expires_at: expiresAt = -1, permissions = [] } = robot
  if (expiresAt >= 0 && expiresAt * 1000 <= nowMs) return leaveOut('it has expired')
  if (
    permissions.some(({ access = [] }) =>
      access.some(({ effect = 'allow' }) => !['allow', ''].includes(effect)),
    )
  ) {
    return leaveOut('it has a permission that denies, and scopes only allow')
  }
  const scopes = permissions.flatMap((permission) => toScope(found, robot.name, permission) ?? [])
  if (scopes.length === 0) return leaveOut('none of its permissions is one on repositories')
  found.addToken(name, {
    scopes,
    ...(expiresAt >= 0 && { expiryDate: new Date(expiresAt * 1000).toISOString().replace('.000', '') }),
    ...(robot.disable === true && { status: 'disabled' }),
  })
  found.report(`robot ${robot.name} becomes the registry token ${name} with a new password`)
}

function toScope(
  found: Import,
  robot: string,
  { kind, namespace, access = [] }: NonNullable<HarborRobot['permissions']>[number],
): Scope | undefined {
  const name = namespace === '*' ? '*' : `${namespace}/*`
  const has = (resource: string, action: string) =>
    access.some((one) => one.resource === resource && one.action === action)
  if (kind !== 'project' || parseRepositoryPattern(name) === undefined) {
    found.report(`robot ${robot} does not get its permissions on ${kind} ${namespace}`)
    return undefined
  }
  // Here delete removes manifests and, with the last one, the repository: Harbor has two permissions for that.
  const mayDelete = has('repository', 'delete') && has('artifact', 'delete')
  const actions: RepositoryAction[] = [
    ...(has('repository', 'pull') ? (['pull'] as const) : []),
    ...(has('repository', 'pull') && has('repository', 'push') ? (['push'] as const) : []),
    ...(mayDelete ? (['delete'] as const) : []),
  ]
  const isTaken = (resource: string, action: string) =>
    resource === 'artifact' && action === 'delete'
      ? mayDelete
      : resource === 'repository' && actions.some((one) => one === action)
  const missing = access.filter(({ resource, action }) => !isTaken(resource, action))
  if (missing.length > 0) {
    const list = missing.map(({ resource, action }) => `${resource} ${action}`).join(', ')
    found.report(`robot ${robot} loses these permissions in ${namespace}: ${list}`)
  }
  return actions.length === 0 ? undefined : { type: 'repository', name, actions }
}

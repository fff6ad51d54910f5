import { randomBytes } from 'node:crypto'
import { ListedUser } from '@registry-manager/auth-service/management'
import type { Static } from 'typebox'
import { Type } from 'typebox'
import type { UserEntry } from './access-file.ts'
import type { ManagementClient } from './management-client.ts'
import type { Change, Step } from './step.ts'

/** The users API has pages of at most this length. */
const PAGE = 50

type PresentUser = Static<typeof ListedUser>

/** All users of the server, by username. For cluster administrators. */
export async function readUsers(client: ManagementClient): Promise<ReadonlyMap<string, PresentUser>> {
  const users = new Map<string, PresentUser>()
  for (let offset = 0; ; offset += PAGE) {
    const page = await client.get(`/users?limit=${PAGE}&offset=${offset}`, Type.Array(ListedUser))
    for (const user of page) users.set(user.username, user)
    if (page.length < PAGE) return users
  }
}

/** Plans the users of a file. A user who is not in the file stays as it is. */
export function planUsers(
  entries: ReadonlyMap<string, UserEntry>,
  present: ReadonlyMap<string, PresentUser>,
): Step[] {
  return [...entries].flatMap(([username, entry]) => {
    const current = present.get(username)
    return current === undefined ? [newUser(username, entry)] : changedUser(username, entry, current)
  })
}

function newUser(username: string, { passwordHash, ...entry }: UserEntry): Step {
  const hasPassword = isLocal(entry) && passwordHash === undefined
  const fields = Object.entries(entry).map(([name, value]) => `${name} ${textOf(value)}`)
  if (passwordHash !== undefined) fields.push('with the hash of a password')
  return {
    title: `user ${username}`,
    path: ['users', username],
    changes: [{ sign: '+', text: ['new user', ...fields].join(', ') }],
    makesPassword: hasPassword,
    async run(client) {
      const password = randomBytes(18).toString('base64url')
      const secret = hasPassword ? { password } : { password_hash: passwordHash }
      await client.send('POST', '/user', { username, ...entry, ...secret })
      return hasPassword ? { username, password } : undefined
    },
  }
}

function changedUser(
  username: string,
  { role, enabled, namespaces, ad, provider }: UserEntry,
  current: PresentUser,
): Step[] {
  const given = { role, enabled, namespaces, ad, provider }
  const entry = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as Omit<
    UserEntry,
    'passwordHash'
  >
  const changes = Object.entries(entry).flatMap(([name, wanted]) => {
    const present = { provider: '', ...current, ...current.own }[name as keyof typeof entry]
    if (isSame(present, wanted)) return []
    const change: Change = { sign: '~', text: `${name}: ${textOf(present)} → ${textOf(wanted)}` }
    return [change]
  })
  if (changes.length === 0) return []
  const makesPassword = isLocal({ ...current, ...entry }) && !isLocal(current)
  return [
    {
      title: `user ${username}`,
      path: ['users', username],
      changes,
      makesPassword,
      async run(client) {
        const password = randomBytes(18).toString('base64url')
        await client.send('PATCH', '/user', { username, ...entry, ...(makesPassword && { password }) })
        return makesPassword ? { username, password } : undefined
      },
    },
  ]
}

function isLocal({ ad, provider }: Pick<UserEntry, 'ad' | 'provider'>): boolean {
  return ad !== true && !provider
}

/** Whether a field has the wanted value. The order of namespaces says nothing. */
function isSame(present: unknown, wanted: unknown): boolean {
  if (!Array.isArray(present) || !Array.isArray(wanted)) return present === wanted
  return new Set(present).symmetricDifference(new Set(wanted)).size === 0
}

function textOf(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? 'none' : value.join(' ')
  return value === '' ? 'none' : String(value)
}

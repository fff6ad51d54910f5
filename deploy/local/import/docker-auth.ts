import { parseYaml } from '../apply/parse-yaml.ts'
import type { AclEntry } from './docker-auth-acl.ts'
import { grantsOf } from './docker-auth-acl.ts'
import type { Import, Imported, Terms } from './imported.ts'
import { createImport } from './imported.ts'

/** The group of all users of the configuration, for entries that give all of them the same. */
const GROUP = 'docker-auth-users'
/** Sections about other sources of users and permissions. */
const ELSEWHERE = /_auth$|^acl_|^(?:casbin|ext|plugin|xorm)_?authz$/

/**
 * Imports the configuration of docker_auth: its `users` with their bcrypt hashes, and its `acl` as grants of these
 * users. With `anyDepth`, `team/*` becomes all repositories below `team` instead of those with one more component.
 * Throws an Error that names the line of a fault.
 * Source: docker_auth, examples/reference.yml.
 */
export function importDockerAuth(text: string, { anyDepth }: { readonly anyDepth: boolean }): Imported {
  const parsed = parseYaml(text, 'failsafe')
  if ('faults' in parsed) {
    throw new Error(parsed.faults.map(({ line, text }) => `line ${line}: ${text}`).join('\n'))
  }
  const found = createImport()
  const config = objectOf(parsed.value)
  for (const section of Object.keys(config).filter((name) => ELSEWHERE.test(name))) {
    found.report(
      `${section} is not imported: the import does not read users and permissions of other systems`,
    )
  }
  /** The names in docker_auth, by the usernames here. */
  const accounts = addUsers(found, objectOf(config['users']))
  const acl = (Array.isArray(config['acl']) ? config['acl'] : []).map((given, index): AclEntry => {
    const { match, actions } = objectOf(given)
    const title = `acl entry ${index + 1} (line ${parsed.lineOf(['acl', index])})`
    return {
      title,
      match: isObject(match) ? match : undefined,
      actions: Array.isArray(actions) ? actions.map(String) : [],
    }
  })
  if (acl.some(({ match }) => match?.['account'] === '')) {
    found.report(
      'entries for the account "" (without sign-in) are not imported: see ANONYMOUS_PULL, which is for global repositories',
    )
  }
  addGrants(found, accounts, acl, anyDepth)
  return found.finish()
}

function addUsers(found: Import, users: Readonly<Record<string, unknown>>): ReadonlyMap<string, string> {
  const accounts = new Map<string, string>()
  for (const [name, entry] of Object.entries(users)) {
    if (name === '') {
      found.report('the user "" (without sign-in) is not imported: see ANONYMOUS_PULL')
      continue
    }
    const { password } = objectOf(entry)
    const hash = found.hashField(name, typeof password === 'string' ? password : undefined)
    const username = found.addUser(name, hash)
    if (username !== undefined) accounts.set(username, name)
  }
  for (const username of accounts.keys()) if (!found.hasUser(username)) accounts.delete(username)
  return accounts
}

function addGrants(
  found: Import,
  accounts: ReadonlyMap<string, string>,
  acl: readonly AclEntry[],
  anyDepth: boolean,
): void {
  const holders = new Map<string, string[]>()
  for (const [username, account] of accounts) {
    for (const terms of grantsOf(account, acl, { anyDepth, report: found.report })) {
      const key = JSON.stringify(terms)
      const list = holders.get(key) ?? []
      if (!list.includes(username)) list.push(username)
      holders.set(key, list)
    }
  }
  let hasGroup = false
  for (const [key, usernames] of holders) {
    const terms = JSON.parse(key) as Terms
    if (usernames.length > 1 && usernames.length === accounts.size) {
      hasGroup = true
      found.addGrant({ kind: 'group', name: GROUP }, terms)
    } else for (const name of usernames) found.addGrant({ kind: 'user', name }, terms)
    if (terms.conditions?.networks) {
      found.report('some grants have networks: clients must reach registry-manager with their own addresses')
    }
  }
  if (hasGroup) found.addGroup(GROUP, { members: found.usernames() })
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  return isObject(value) ? value : {}
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

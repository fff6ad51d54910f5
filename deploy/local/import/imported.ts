import type { GrantInput } from '@registry-manager/auth-service/management'
import { BCRYPT_PATTERN } from '@registry-manager/auth-service/management'
import type { RepositoryAction } from '@registry-manager/oci'
import { REPOSITORY_ACTIONS } from '@registry-manager/oci'
import { ACTIONS_OF_ROLE, GRANT_ROLES } from '@registry-manager/principal'
import type { GroupEntry, TokenEntry, UserEntry } from '../apply/access-file.ts'
import { Username } from '../apply/access-file.ts'
import { findSchemaFaults } from '../apply/find-schema-faults.ts'

type Mutable<Value> = { -readonly [Key in keyof Value]: Value[Key] }

/** The result of an import in the format of an access file, and a report of everything that it cannot take over. */
export interface Imported {
  readonly users: ReadonlyMap<string, UserEntry>
  readonly groups: ReadonlyMap<string, GroupEntry>
  readonly registryTokens: ReadonlyMap<string, TokenEntry>
  readonly grants: ReadonlyMap<string, readonly GrantInput[]>
  /** One sentence for each thing that was left out, or that gives less than before. */
  readonly report: readonly string[]
}

/** Terms of a grant: what it permits, without its subject. */
export type Terms = Omit<GrantInput, 'subject'>

const BCRYPT = new RegExp(BCRYPT_PATTERN)

/** Collects what an import finds. */
export function createImport() {
  const users = new Map<string, Mutable<UserEntry>>()
  const groups = new Map<string, GroupEntry>()
  const registryTokens = new Map<string, TokenEntry>()
  const grants = new Map<string, GrantInput[]>()
  const report: string[] = []
  /** The names in the source of the users, by their names here. */
  const origins = new Map<string, string>()
  const ambiguous = new Set<string>()

  return {
    report: (text: string) => void (report.includes(text) || report.push(text)),

    /**
     * Adds a user, by the name in the source. Names that differ only in case are one name here: neither of them is
     * imported. Returns the name here; undefined if the user is not imported.
     */
    addUser(original: string, entry: UserEntry): string | undefined {
      const username = original.toLowerCase()
      if (findSchemaFaults(Username, original).length > 0) {
        report.push(
          `user ${JSON.stringify(original)} is not imported: the name is not valid in registry-manager`,
        )
        return undefined
      }
      if (ambiguous.has(username) || users.has(username)) {
        report.push(
          `user ${original} is not imported: the name differs only in case from ${origins.get(username)}`,
        )
        ambiguous.add(username)
        if (users.delete(username))
          report.push(`user ${origins.get(username)} is not imported for the same reason`)
        return undefined
      }
      users.set(username, entry)
      origins.set(username, original)
      return username
    },

    /** The field of a password hash: empty, and reported, if sign-in cannot verify it. */
    hashField(original: string, hash: string | undefined): Pick<UserEntry, 'passwordHash'> {
      if (hash !== undefined && BCRYPT.test(hash)) return { passwordHash: hash }
      const why = hash?.startsWith('$2') ? 'its cost is above 12, or it is damaged' : 'it is not bcrypt'
      report.push(`user ${original} gets a new password: the hash cannot be imported (${why})`)
      return {}
    },

    addGroup: (name: string, entry: GroupEntry) => void groups.set(name, entry),
    hasGroup: (name: string) => groups.has(name),
    addToken: (name: string, entry: TokenEntry) => void registryTokens.set(name, entry),
    hasToken: (name: string) =>
      [...registryTokens.keys()].some((one) => one.toLowerCase() === name.toLowerCase()),
    hasUser: (username: string) => users.has(username),
    /** The usernames here of all users, sorted. */
    usernames: () => [...users.keys()].toSorted(),

    addGrant(subject: GrantInput['subject'], terms: Terms): void {
      const { repositories } = terms
      const namespace = repositories.includes('/') ? (repositories.split('/', 1)[0] ?? '') : '*'
      const list = grants.get(namespace) ?? []
      grants.set(namespace, list)
      const grant = { subject, ...terms }
      if (!list.some((one) => JSON.stringify(one) === JSON.stringify(grant))) list.push(grant)
    },

    finish: (): Imported => ({ users, groups, registryTokens, grants, report }),
  }
}

export type Import = ReturnType<typeof createImport>

/**
 * The role or the actions that permit exactly the given actions. Here `push` includes `pull`: without `pull` it is left
 * out. Undefined if nothing remains.
 */
export function rightsOf(given: Iterable<string>): Pick<Terms, 'role' | 'actions'> | undefined {
  const wanted = new Set(given)
  if (!wanted.has('pull')) wanted.delete('push')
  const actions = REPOSITORY_ACTIONS.filter((action) => wanted.has(action))
  if (actions.length === 0) return undefined
  // An owner also manages the namespace, so a maintainer is found first.
  const role = GRANT_ROLES.find((name) => isSame(ACTIONS_OF_ROLE[name], actions))
  return role === undefined ? { actions } : { role }
}

function isSame(one: readonly RepositoryAction[], other: readonly RepositoryAction[]): boolean {
  return one.length === other.length && one.every((action) => other.includes(action))
}

/*
 * The rights of every role as the design states them, independent of the code: the right response for every cell of the
 * matrix.
 */

export type Right =
  /** Over /v2/: manifests and blobs, tags, referrers, an entry in the catalog. */
  | 'pull'
  | 'push'
  | 'delete'
  /** In image management: an entry in the list, the repository itself. */
  | 'see'
  /** In image management: scope, deletion. */
  | 'manage'

const ALL: readonly Right[] = ['pull', 'push', 'delete', 'see', 'manage']

/** One line for each column of the design's table, and for users who have a role for `own/*` by a grant. */
export const ROLES: Readonly<
  Record<string, Readonly<Record<'own' | 'global' | 'foreign', readonly Right[]>>>
> = {
  'cluster-administrator': { own: ALL, global: ALL, foreign: ALL },
  administrator: { own: ALL, global: ['pull', 'see', 'manage'], foreign: ['see', 'manage'] },
  user: { own: ALL, global: ['pull', 'see'], foreign: [] },
  reader: { own: ['pull', 'see'], global: ['pull', 'see'], foreign: [] },
  developer: { own: ['pull', 'push', 'see'], global: ['pull', 'see'], foreign: [] },
  maintainer: { own: ALL, global: ['pull', 'see'], foreign: [] },
  owner: { own: ALL, global: ['pull', 'see'], foreign: [] },
}

export interface Kind {
  readonly belongs: 'own' | 'global' | 'foreign'
  readonly exists: boolean
  readonly name: string
}

/** `foreign` and `absent` differ only in their names, which have the same length. */
export const KINDS: Readonly<Record<string, Kind>> = {
  own: { belongs: 'own', exists: true, name: 'own/there' },
  'own, absent': { belongs: 'own', exists: false, name: 'own/nowhere' },
  global: { belongs: 'global', exists: true, name: 'far/shared' },
  foreign: { belongs: 'foreign', exists: true, name: 'far/foreign' },
  'foreign, without a namespace': { belongs: 'foreign', exists: true, name: 'alone' },
  absent: { belongs: 'foreign', exists: false, name: 'far/nowhere' },
}

export type Credential = 'basic' | 'identity token' | 'scoped token' | 'pull token'
export const CREDENTIALS: readonly Credential[] = ['basic', 'identity token', 'scoped token', 'pull token']

/**
 * The scope that a scoped token is requested with. The token gets the permitted part. Basic and identity tokens have no
 * scope.
 */
export const SCOPES = {
  'scoped token': { catalog: true, actions: ['pull', 'push', 'delete'] },
  'pull token': { catalog: false, actions: ['pull'] },
} as const

export interface Endpoint {
  readonly method: string
  /** Path with NAME for the repository, and MANIFEST and BLOB for digests of its contents. */
  readonly path: string
  readonly needs: Right
  /** Status of a permitted request: if the repository exists, and if it is absent. */
  readonly permitted: readonly [there: number, absent: number]
  /** Whether a permitted request changes the repository. */
  readonly changes?: 'existing repositories' | 'absent repositories'
}

const MANAGEMENT = '/image-manager/api/v1/repositories'

export const ENDPOINTS: Readonly<Record<string, Endpoint>> = {
  'pull a manifest': { method: 'GET', path: '/v2/NAME/manifests/v1', needs: 'pull', permitted: [200, 404] },
  'ask for a manifest': {
    method: 'HEAD',
    path: '/v2/NAME/manifests/MANIFEST',
    needs: 'pull',
    permitted: [200, 404],
  },
  'pull a blob': { method: 'GET', path: '/v2/NAME/blobs/BLOB', needs: 'pull', permitted: [200, 404] },
  'list tags': { method: 'GET', path: '/v2/NAME/tags/list', needs: 'pull', permitted: [200, 404] },
  'list referrers': {
    method: 'GET',
    path: '/v2/NAME/referrers/MANIFEST',
    needs: 'pull',
    permitted: [200, 200],
  },
  'begin an upload': {
    method: 'POST',
    path: '/v2/NAME/blobs/uploads/',
    needs: 'push',
    permitted: [202, 202],
  },
  'push a manifest': {
    method: 'PUT',
    path: '/v2/NAME/manifests/pushed',
    needs: 'push',
    permitted: [201, 201],
    changes: 'absent repositories',
  },
  'delete a manifest': {
    method: 'DELETE',
    path: '/v2/NAME/manifests/MANIFEST',
    needs: 'delete',
    permitted: [202, 404],
    changes: 'existing repositories',
  },
  'delete a tag': {
    method: 'DELETE',
    path: '/v2/NAME/manifests/v1',
    needs: 'delete',
    permitted: [202, 404],
    changes: 'existing repositories',
  },
  'delete a blob': {
    method: 'DELETE',
    path: '/v2/NAME/blobs/BLOB',
    needs: 'delete',
    permitted: [202, 404],
    changes: 'existing repositories',
  },
  'get a repository': { method: 'GET', path: `${MANAGEMENT}/NAME`, needs: 'see', permitted: [200, 404] },
  'set a scope': { method: 'PUT', path: `${MANAGEMENT}/NAME`, needs: 'manage', permitted: [200, 404] },
  'delete a repository': {
    method: 'DELETE',
    path: `${MANAGEMENT}/NAME`,
    needs: 'manage',
    permitted: [200, 404],
    changes: 'existing repositories',
  },
}

/** Returns the actions that a credential permits over /v2/. An identity token only names the account. */
function grantedActions(role: string, { belongs }: Kind, credential: Credential): readonly Right[] {
  const rights = ROLES[role]?.[belongs] ?? []
  switch (credential) {
    case 'basic':
      return rights
    case 'identity token':
      return []
    case 'scoped token':
      return rights.filter((right) => right === 'pull' || right === 'push' || right === 'delete')
    case 'pull token':
      return rights.filter((right) => right === 'pull')
  }
}

export interface Outcome {
  readonly status: number
  /** Whether the request was permitted. */
  readonly isPermitted: boolean
}

/** Returns the right response for one cell. */
export function outcomeOf(endpoint: Endpoint, role: string, kind: Kind, credential: Credential): Outcome {
  const { needs, permitted } = endpoint
  const may = { status: permitted[kind.exists ? 0 : 1], isPermitted: true }
  const mayNot = (status: number) => ({ status, isPermitted: false })
  const granted = grantedActions(role, kind, credential)
  if (needs !== 'see' && needs !== 'manage') {
    if (granted.includes(needs)) return may
    // A password gets no more with a token, so it is 403. A bearer might, so it is 401 with a challenge.
    return mayNot(credential === 'basic' ? 403 : 401)
  }
  const account = ROLES[role]?.[kind.belongs] ?? []
  const actsAsAccount = credential === 'basic' || credential === 'identity token'
  // A scoped token acts within its scope: pull permits reading, delete permits deletion, no scope permits setting a
  // scope. A token that lists the account's repositories may see them.
  const lists = !actsAsAccount && SCOPES[credential].catalog
  const sees = account.includes('see') && (actsAsAccount || lists || granted.length > 0)
  if (!sees || !kind.exists) return mayNot(404)
  const isDeletion = endpoint.method === 'DELETE'
  const isGranted = needs === 'see' ? granted.includes('pull') : isDeletion && granted.includes('delete')
  const isAllowed = actsAsAccount || isGranted
  return account.includes(needs) && isAllowed ? may : mayNot(403)
}

/**
 * Returns the kinds of repositories in a list, over /v2/ (the catalog) or in image management; undefined if the list is
 * refused.
 */
export function listedFor(
  list: 'catalog' | 'management',
  role: string,
  credential: Credential,
): readonly string[] | undefined {
  if (credential === 'pull token' || (list === 'catalog' && credential === 'identity token')) return undefined
  const needed = list === 'catalog' ? 'pull' : 'see'
  return Object.entries(KINDS)
    .filter(([, { belongs, exists }]) => exists && ROLES[role]?.[belongs].includes(needed))
    .map(([kind]) => kind)
}

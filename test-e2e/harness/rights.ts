/*
 * Who may do what, as the design says it, and not as the code does it: the right answer to every cell of the matrix.
 */

export type Right =
  /** Over /v2/: manifests and blobs, tags, referrers, a place in the catalog. */
  | 'pull'
  | 'push'
  | 'delete'
  /** By image management: a place in the list, the repository itself. */
  | 'see'
  /** By image management: scope, deletion. */
  | 'manage'

const ALL: readonly Right[] = ['pull', 'push', 'delete', 'see', 'manage']

/** One line for each column of the design's table; a registry token gets its own line here, and below in `carried`. */
export const ROLES: Readonly<
  Record<string, Readonly<Record<'own' | 'global' | 'foreign', readonly Right[]>>>
> = {
  'cluster-administrator': { own: ALL, global: ALL, foreign: ALL },
  administrator: { own: ALL, global: ['pull', 'see', 'manage'], foreign: ['see', 'manage'] },
  user: { own: ALL, global: ['pull', 'see'], foreign: [] },
}

export interface Kind {
  readonly belongs: 'own' | 'global' | 'foreign'
  readonly isThere: boolean
  readonly name: string
}

/** `foreign` and `absent` are alike to the letter but for these names, which are of one length. */
export const KINDS: Readonly<Record<string, Kind>> = {
  own: { belongs: 'own', isThere: true, name: 'own/there' },
  'own, absent': { belongs: 'own', isThere: false, name: 'own/nowhere' },
  global: { belongs: 'global', isThere: true, name: 'far/shared' },
  foreign: { belongs: 'foreign', isThere: true, name: 'far/foreign' },
  'foreign, without a namespace': { belongs: 'foreign', isThere: true, name: 'alone' },
  absent: { belongs: 'foreign', isThere: false, name: 'far/nowhere' },
}

export type Credential = 'basic' | 'identity token' | 'scoped token' | 'pull token'
export const CREDENTIALS: readonly Credential[] = ['basic', 'identity token', 'scoped token', 'pull token']

/** What a scoped token is asked for; it carries what of that is permitted. Basic and identity tokens ask for nothing. */
export const SCOPES = {
  'scoped token': { catalog: true, actions: ['pull', 'push', 'delete'] },
  'pull token': { catalog: false, actions: ['pull'] },
} as const

export interface Endpoint {
  readonly method: string
  /** With NAME for the repository, MANIFEST and BLOB for digests of what is in it. */
  readonly path: string
  readonly needs: Right
  /** Status when permitted: where the repository is there, and where it is not. */
  readonly permitted: readonly [there: number, absent: number]
  /** Whether it leaves the repository another, when permitted. */
  readonly spoils?: 'what is there' | 'what is not there'
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
    spoils: 'what is not there',
  },
  'delete a manifest': {
    method: 'DELETE',
    path: '/v2/NAME/manifests/MANIFEST',
    needs: 'delete',
    permitted: [202, 404],
    spoils: 'what is there',
  },
  'delete a tag': {
    method: 'DELETE',
    path: '/v2/NAME/manifests/v1',
    needs: 'delete',
    permitted: [202, 404],
    spoils: 'what is there',
  },
  'delete a blob': {
    method: 'DELETE',
    path: '/v2/NAME/blobs/BLOB',
    needs: 'delete',
    permitted: [202, 404],
    spoils: 'what is there',
  },
  'get a repository': { method: 'GET', path: `${MANAGEMENT}/NAME`, needs: 'see', permitted: [200, 404] },
  'set a scope': { method: 'PUT', path: `${MANAGEMENT}/NAME`, needs: 'manage', permitted: [200, 404] },
  'delete a repository': {
    method: 'DELETE',
    path: `${MANAGEMENT}/NAME`,
    needs: 'manage',
    permitted: [200, 404],
    spoils: 'what is there',
  },
}

/** What a credential carries over /v2/: an identity token names the account, and nothing else. */
function carried(role: string, { belongs }: Kind, credential: Credential): readonly Right[] {
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
  /** Whether the request was allowed to be what it was. */
  readonly isPermitted: boolean
}

/** The right answer to one cell. */
export function outcomeOf(endpoint: Endpoint, role: string, kind: Kind, credential: Credential): Outcome {
  const { needs, permitted } = endpoint
  const may = { status: permitted[kind.isThere ? 0 : 1], isPermitted: true }
  const mayNot = (status: number) => ({ status, isPermitted: false })
  const carries = carried(role, kind, credential)
  if (needs !== 'see' && needs !== 'manage') {
    if (carries.includes(needs)) return may
    // A password will not get more by asking for a token; a token's bearer might.
    return mayNot(credential === 'basic' ? 403 : 401)
  }
  const account = ROLES[role]?.[kind.belongs] ?? []
  const actsAsAccount = credential === 'basic' || credential === 'identity token'
  // A scoped token acts within what it carries: it gets with pull, deletes with delete, sets no scope.
  // One that lists what the account sees may know of it.
  const lists = !actsAsAccount && SCOPES[credential].catalog
  const sees = account.includes('see') && (actsAsAccount || lists || carries.length > 0)
  if (!sees || !kind.isThere) return mayNot(404)
  const isDeletion = endpoint.method === 'DELETE'
  const isCarried = needs === 'see' ? carries.includes('pull') : isDeletion && carries.includes('delete')
  const isAllowed = actsAsAccount || isCarried
  return account.includes(needs) && isAllowed ? may : mayNot(403)
}

/** Which kinds a list shows, over /v2/ (the catalog) or by image management; undefined where it is refused. */
export function listedFor(
  list: 'catalog' | 'management',
  role: string,
  credential: Credential,
): readonly string[] | undefined {
  if (credential === 'pull token' || (list === 'catalog' && credential === 'identity token')) return undefined
  const needed = list === 'catalog' ? 'pull' : 'see'
  return Object.entries(KINDS)
    .filter(([, { belongs, isThere }]) => isThere && ROLES[role]?.[belongs].includes(needed))
    .map(([kind]) => kind)
}

/** distribution refuses longer names. Source: distribution/reference, `RepositoryNameTotalLengthMax`. */
export const MAX_NAME_LENGTH = 255

/** One component of a name as a regular expression, for JSON schemas. */
export const COMPONENT_PATTERN = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*'

/**
 * The first component of the names of the repositories that hold the trash. No name that begins with it is valid, so no
 * request, scope, grant or namespace can name them.
 */
export const RESERVED_COMPONENT = 'registry-manager-trash'
/** Refuses the reserved component at the beginning of a name, in a regular expression. */
export const NOT_RESERVED_PATTERN = `(?!${RESERVED_COMPONENT}(?:/|$))`

/** Repository names as a regular expression, for JSON schemas. Their length is limited, too. */
export const REPOSITORY_NAME_PATTERN = `^${NOT_RESERVED_PATTERN}${COMPONENT_PATTERN}(?:/${COMPONENT_PATTERN})*$`
const REPOSITORY_NAME = new RegExp(REPOSITORY_NAME_PATTERN)

/**
 * Namespaces as a regular expression, for JSON schemas. Their length is limited, too: a single component leaves room
 * for a slash and one more character.
 */
export const NAMESPACE_PATTERN = `^(?=[^/]{1,${MAX_NAME_LENGTH - 2}}$|[^/]+/)${NOT_RESERVED_PATTERN}${COMPONENT_PATTERN}(?:/${COMPONENT_PATTERN})*$`

/**
 * Whether `text` is a repository name: path components of lower-case letters and digits, joined by `/`. Names that are
 * reserved are not.
 * Source: OCI distribution-spec 1.1, "Pulling manifests", `<name>`.
 */
export function isRepositoryName(text: string): boolean {
  return text.length <= MAX_NAME_LENGTH && REPOSITORY_NAME.test(text)
}

/** Whether a name is that of a repository of the trash, or could be one. */
export function isReservedName(text: string): boolean {
  return text.split('/', 1)[0] === RESERVED_COMPONENT
}

/** Whether `repository` is below `prefix`, by whole path components: `team/app` is below `team`, `team` is not. */
export function isBelow(prefix: string, repository: string): boolean {
  return repository.startsWith(`${prefix}/`)
}

/** Whether a valid repository name can be below `prefix`: the length of names is limited. */
export function canHoldRepositories(prefix: string): boolean {
  return isRepositoryName(`${prefix}/a`)
}

/** Whether a namespace has several path components: it then covers the repository of exactly its name, too. */
export function isNested(namespace: string): boolean {
  return namespace.includes('/')
}

/** Whether `text` is a namespace that covers at least one possible repository name. */
export function isNamespace(text: string): boolean {
  return isRepositoryName(text) && (isNested(text) || canHoldRepositories(text))
}

/**
 * Whether `namespace` covers `repository`. A namespace covers every repository below it, by whole path components. A
 * namespace of several components also covers the repository of exactly its name. Examples: `team` covers `team/app`
 * and `team/a/b`, but not `team` (a repository without a slash has no namespace) or `teams/app`; `team/app` covers
 * `team/app` and `team/app/x`.
 */
export function namespaceCovers(namespace: string, repository: string): boolean {
  return isBelow(namespace, repository) || (isNested(namespace) && repository === namespace)
}

/** All namespaces that cover a repository, the shortest first. A name without a slash belongs to none. */
export function namespacesOf(repository: string): string[] {
  if (!isNested(repository)) return []
  const components = repository.split('/')
  return components.map((_, at) => components.slice(0, at + 1).join('/'))
}

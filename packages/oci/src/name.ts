/** A repository name is at most this many characters (distribution's limit, kept so that nothing is accepted here that is refused there). */
const MAX_NAME_LENGTH = 255

const COMPONENT = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/

/**
 * Whether `text` is a repository name: path components of lower-case letters and digits, joined by `/`.
 * Source: OCI distribution-spec 1.1, "Pulling manifests", `<name>`.
 */
export function isRepositoryName(text: string): boolean {
  return text.length <= MAX_NAME_LENGTH && text.split('/').every((component) => COMPONENT.test(component))
}

/** Whether `repository` lies below `prefix`, by whole path components: `team/app` below `team`, but not `team` itself. */
export function isBelow(prefix: string, repository: string): boolean {
  return repository.startsWith(`${prefix}/`)
}

/** Whether a repository name can lie below `prefix`: names are limited in length. */
export function canHoldRepositories(prefix: string): boolean {
  return isRepositoryName(`${prefix}/a`)
}

/** Whether a namespace has more than one path component: then it covers the repository of exactly its name as well. */
export function isNested(namespace: string): boolean {
  return namespace.includes('/')
}

/** Whether `text` is a namespace that covers at least one possible repository name. */
export function isNamespace(text: string): boolean {
  return isRepositoryName(text) && (isNested(text) || canHoldRepositories(text))
}

/**
 * Whether `namespace` covers `repository`. It covers everything below it, by whole path components, and, where it has more
 * than one component, the repository of exactly that name: `team` covers `team/app` and `team/a/b`, but neither `team`
 * (a repository without a slash belongs to no namespace) nor `teams/app`; `team/app` covers `team/app` and `team/app/x`.
 */
export function namespaceCovers(namespace: string, repository: string): boolean {
  return isBelow(namespace, repository) || (isNested(namespace) && repository === namespace)
}

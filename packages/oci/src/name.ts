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

/**
 * Whether `namespace` covers `repository`: a prefix of whole path components, and never all of them,
 * so that `team` covers `team/app` and `team/a/b`, but neither `team` nor `teams/app`.
 */
export function namespaceCovers(namespace: string, repository: string): boolean {
  return repository.startsWith(`${namespace}/`)
}

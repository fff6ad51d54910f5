/** What a service needs to answer requests. Code compares these identifiers, never the texts that clients read. */
export const DEPENDENCIES = ['database', 'directory', 'registry', 'auth-service', 'image-manager'] as const
export type Dependency = (typeof DEPENDENCIES)[number]

const NAMES: Readonly<Record<Dependency, string>> = {
  database: 'the database',
  directory: 'the directory',
  registry: 'the registry',
  'auth-service': 'auth-service',
  'image-manager': 'image-manager',
}

/** The sentence that tells a client which dependency does not respond. */
export function describeUnavailable(dependency: Dependency): string {
  return `${NAMES[dependency]} is unavailable`
}

/** Returns the dependency that an error reports as unavailable; undefined for every other error. */
export type UnavailableDependency = (error: unknown) => Dependency | undefined

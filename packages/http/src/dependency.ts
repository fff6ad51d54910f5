/** Systems that a service needs to serve requests. Code compares these identifiers, never the texts for clients. */
export const DEPENDENCIES = [
  'database',
  'directory',
  'token-issuer',
  'registry',
  'auth-service',
  'image-manager',
] as const
export type Dependency = (typeof DEPENDENCIES)[number]

const NAMES: Readonly<Record<Dependency, string>> = {
  database: 'the database',
  directory: 'the directory',
  'token-issuer': 'the issuer of the token',
  registry: 'the registry',
  'auth-service': 'auth-service',
  'image-manager': 'image-manager',
}

/** A sentence for clients that names the unavailable dependency. */
export function describeUnavailable(dependency: Dependency): string {
  return `${NAMES[dependency]} is unavailable`
}

/** Returns the dependency that an error reports as unavailable; undefined for any other error. */
export type UnavailableDependency = (error: unknown) => Dependency | undefined

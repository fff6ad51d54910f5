export interface RegistryPlace {
  /** host:port to listen on. */
  readonly address: string
  readonly httpSecret: string
  /** Folder of the images, as the registry sees it. */
  readonly folder: string
  readonly realm: string
  readonly service: string
  readonly issuer: string
  /** The authority's certificate, as the registry sees it. */
  readonly authority: string
}

/**
 * Settings of Go's garbage collector. distribution keeps little in memory and allocates much, so by default it collects
 * after every few megabytes: a quarter of its CPU time, while repositories are read. Compose and Kubernetes set the
 * same.
 * Source: Go, package runtime, "Environment Variables".
 */
export const GO_RUNTIME = { GOGC: '400', GOMEMLIMIT: '512MiB' }

/**
 * Returns the environment variables that complete deploy/registry/config.yml. Every value is a quoted string, because
 * distribution reads values as YAML: `12345` and `1e3` would be numbers, `no` a boolean and `[::1]:5000` a list.
 * Source: distribution, docs/content/about/configuration.md, "Override specific configuration options".
 */
export function registryEnvironment(place: RegistryPlace): Record<string, string> {
  const values = {
    REGISTRY_HTTP_ADDR: place.address,
    REGISTRY_HTTP_SECRET: place.httpSecret,
    REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: place.folder,
    REGISTRY_AUTH_TOKEN_REALM: place.realm,
    REGISTRY_AUTH_TOKEN_SERVICE: place.service,
    REGISTRY_AUTH_TOKEN_ISSUER: place.issuer,
    REGISTRY_AUTH_TOKEN_ROOTCERTBUNDLE: place.authority,
  }
  const quoted = Object.entries(values).map(([name, value]) => [name, toYamlString(value)])
  return { ...GO_RUNTIME, ...Object.fromEntries(quoted) }
}

/** Quotes a text for YAML. Every JSON string is a YAML string. Source: YAML 1.2.2 §1.2. */
export function toYamlString(text: string): string {
  return JSON.stringify(text)
}

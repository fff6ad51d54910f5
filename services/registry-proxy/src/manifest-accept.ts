const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json'
const DOCKER_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json'

/** Every type of manifest that a registry may hold. Source: OCI image-spec 1.1; Docker image manifest v2.2. */
const MANIFEST_TYPES = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.oci.image.index.v1+json',
  DOCKER_MANIFEST,
  DOCKER_LIST,
  'application/vnd.oci.artifact.manifest.v1+json',
]

/**
 * The Accept header for the registry: every manifest type, whatever the client accepts, so that a manifest
 * comes back as it was pushed. distribution converts what the client does not accept: 2.8 makes retired
 * schema 1 of a Docker image, and both answer 404 for an OCI image. A server may send what was not asked for
 * (RFC 9110 §12.5.1), and clients of a registry rely on the response's Content-Type.
 *
 * One conversion stays: clients that know Docker images but not Docker lists get the list's linux/amd64
 * image. For them the list type is left out. distribution converts nothing that is requested by digest.
 * Source: distribution 2.8 and 3.1, registry/handlers/manifests.go, `GetManifest`.
 */
export function manifestAccept(accept = ''): string {
  const named = new Set(accept.split(',').map(toMediaType))
  const isWithoutLists = named.has(DOCKER_MANIFEST) && !named.has(DOCKER_LIST)
  return MANIFEST_TYPES.filter((type) => type !== DOCKER_LIST || !isWithoutLists).join(', ')
}

/** The media type of one element of Accept, undefined where its weight is 0. Source: RFC 9110 §12.4.2. */
function toMediaType(element: string): string | undefined {
  const [type = '', ...parameters] = element.split(';').map((part) => part.trim().toLowerCase())
  return parameters.some((parameter) => /^q=0(?:\.0{0,3})?$/.test(parameter)) ? undefined : type
}

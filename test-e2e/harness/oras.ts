import type { Descriptor } from './manifests.ts'
import { EMPTY, MEDIA_TYPES, describe, digestOf, makeImage } from './manifests.ts'
import type { RegistryResponse, RegistryClient, Sending } from './registry-client.ts'
import { createRegistryClient } from './registry-client.ts'
import type { Credentials, System } from './system.ts'
import { basic } from './system.ts'

/** An entry of a list of referrers. */
export interface Referrer extends Descriptor {
  readonly artifactType: string
  readonly annotations?: Readonly<Record<string, string>>
}

/** The tree of `oras discover`: a manifest with its referrers, and their referrers. */
export interface Tree {
  readonly digest: string
  readonly artifactType?: string
  readonly referrers: readonly Tree[]
}

/**
 * The requests of `oras attach`, `oras discover` and `oras pull` (oras 1.2). Each signs in by the registry's challenge
 * and first checks for the referrers API. With the API, oras never pushes a fallback tag.
 */
export function createOras(system: System, credentials: Credentials, repository: string) {
  const at = `/v2/${repository}`
  const accept = Object.values(MEDIA_TYPES).join(', ')

  const send = async (method: string, path: string, sending: Sending = {}): Promise<RegistryResponse> => {
    const client = await signIn(system, credentials, method, path)
    return client.send(method, path, sending)
  }

  const resolve = async (reference: string): Promise<Descriptor> => {
    const { status, headers } = await send('HEAD', `${at}/manifests/${reference}`, { headers: { accept } })
    if (status !== 200) throw new Error(`HEAD ${reference}: ${status}`)
    return {
      mediaType: headers['content-type'] ?? '',
      digest: headers['docker-content-digest'] ?? '',
      size: Number(headers['content-length']),
    }
  }

  const listReferrers = async (digest: string, artifactType?: string): Promise<Referrer[]> => {
    const query = artifactType === undefined ? '' : `?artifactType=${encodeURIComponent(artifactType)}`
    const { status, headers, json } = await send('GET', `${at}/referrers/${digest}${query}`)
    if (status !== 200 || headers['content-type'] !== MEDIA_TYPES.index)
      throw new Error(`the referrers API responded ${status}`)
    if (artifactType !== undefined && headers['oci-filters-applied'] !== 'artifactType')
      throw new Error('the response has no OCI-Filters-Applied header')
    return json.manifests
  }

  return {
    /** `oras attach --artifact-type TYPE REFERENCE FILE:TYPE`. Returns the new manifest's digest. */
    async attach(reference: string, artifactType: string, title: string, content: Buffer): Promise<string> {
      const subject = await resolve(reference)
      await listReferrers(`sha256:${'0'.repeat(64)}`)
      const layer = {
        ...describe([artifactType, content]),
        annotations: { 'org.opencontainers.image.title': title },
      }
      for (const blob of [content, EMPTY[1]]) {
        const path = `${at}/blobs/${digestOf(blob)}`
        if ((await send('HEAD', path)).status === 200) continue
        const client = await signIn(system, credentials, 'POST', `${at}/blobs/uploads/`)
        await client.pushBlob(repository, blob)
      }
      const annotations = { 'org.opencontainers.image.created': '2026-01-01T00:00:00Z' }
      const config = { ...describe(EMPTY), data: EMPTY[1].toString('base64') }
      const { bytes, descriptor } = makeImage({
        fields: { artifactType, config, layers: [layer], subject, annotations },
      })
      const headers = { 'content-type': MEDIA_TYPES.manifest }
      const pushed = await send('PUT', `${at}/manifests/${descriptor.digest}`, { headers, body: bytes })
      if (pushed.status !== 201 || pushed.headers['oci-subject'] !== subject.digest) {
        throw new Error(`PUT: ${pushed.status}, OCI-Subject: ${pushed.headers['oci-subject']}`)
      }
      return descriptor.digest
    },

    /** `oras discover [--artifact-type TYPE] REFERENCE`. The filter applies to the first level only. */
    async discover(reference: string, artifactType?: string): Promise<Tree> {
      const grow = async (digest: string, filter?: string): Promise<Tree['referrers']> =>
        Promise.all(
          (await listReferrers(digest, filter)).map(async ({ digest, artifactType }) => ({
            digest,
            artifactType,
            referrers: await grow(digest),
          })),
        )
      const { digest } = await resolve(reference)
      return { digest, referrers: await grow(digest, artifactType) }
    },

    /** `oras pull REFERENCE`. Returns the files by their titles. */
    async pull(reference: string): Promise<Record<string, string>> {
      const { digest } = await resolve(reference)
      const { body } = await send('GET', `${at}/manifests/${digest}`, { headers: { accept } })
      if (digestOf(body) !== digest) throw new Error('the manifest has a wrong digest')
      const files: Record<string, string> = {}
      for (const layer of JSON.parse(body.toString()).layers) {
        const blob = await send('GET', `${at}/blobs/${layer.digest}`)
        if (digestOf(blob.body) !== layer.digest) throw new Error('the file has a wrong digest')
        files[layer.annotations['org.opencontainers.image.title']] = blob.body.toString()
      }
      return files
    },

    /** `oras manifest delete REFERENCE`. */
    delete: async (reference: string) => send('DELETE', `${at}/manifests/${reference}`),
  }
}

/**
 * Sends a request without credentials, and requests the token that the challenge names. Source: distribution, "Token
 * Authentication".
 */
async function signIn(
  system: System,
  credentials: Credentials,
  method: string,
  path: string,
): Promise<RegistryClient> {
  const { status, headers } = await createRegistryClient(system.url, '').send(method, path)
  const challenge = headers['www-authenticate'] ?? ''
  const parameters = Object.fromEntries(
    [...challenge.matchAll(/(\w+)="([^"]*)"/g)].map(([, name, value]) => [name, value]),
  )
  if (status !== 401 || parameters['realm'] === undefined)
    throw new Error(`the response has no challenge: ${status} ${challenge}`)
  const { realm, service = '', scope = '' } = parameters
  const query = new URLSearchParams({ service, scope })
  const { json } = await createRegistryClient(realm, basic(credentials)).send('GET', `${realm}?${query}`)
  return createRegistryClient(system.url, `Bearer ${json.token}`)
}

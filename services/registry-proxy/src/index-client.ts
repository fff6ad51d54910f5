import type { Reference } from '@registry-manager/oci'
import type { ServiceClient } from '@registry-manager/http'
import {
  AnnounceAnswer,
  AnnouncedBlobAnswer,
  BlobAliasAnswer,
  ManifestAnswer,
  NamesPage,
  RecordAnswer,
  ReferrersAnswer,
  RemovalAnswer,
} from '@registry-manager/principal'
import { ServiceCallError } from '@registry-manager/http'
import type { Static } from 'typebox'
import type { AnnouncedBlob } from './announced-blob.ts'

export interface IndexPage {
  readonly n?: number
  readonly last?: string
}

/** What the proxy asks of image-manager. Every method throws ServiceCallError when it does not answer. */
export interface IndexClient {
  catalog(uid: string, page: IndexPage): Promise<Static<typeof NamesPage>>
  /** Undefined when there is no such repository. */
  tags(repository: string, page: IndexPage): Promise<Static<typeof NamesPage> | undefined>
  /** One page, of what comes after the digest `last`. */
  referrers(
    repository: string,
    digest: string,
    page: { readonly artifactType?: string; readonly last?: string },
  ): Promise<Static<typeof ReferrersAnswer>>
  /** A manifest that the index knows; undefined when it knows none. */
  findManifest(repository: string, reference: Reference): Promise<IndexedManifest | undefined>
  /** Whether there was such a manifest or tag; `inUseBy` an index nothing is deleted, unless it is forced. */
  deleteManifest(
    repository: string,
    reference: Reference,
    force?: boolean,
  ): Promise<Static<typeof RemovalAnswer>>
  /** Says that a blob is about to be uploaded or mounted. */
  announceBlob(blob: AnnouncedBlob): Promise<void>
  /** Whether there was such a blob, under any of its names. */
  deleteBlob(repository: string, digest: string): Promise<boolean>
  /** Says under which sha512 a blob was pushed. */
  aliasBlob(alias: { repository: string; sha512: string; sha256: string }): Promise<void>
  /** Says that a manifest is on its way to the registry. */
  admit(
    repository: string,
    reference: Reference,
    type: string,
    manifest: Buffer,
    account: string,
  ): Promise<Static<typeof AnnounceAnswer>>
  /**
   * Has written down what the registry has of it. Undefined when that was done already, as it is where the answer to it
   * was lost: nobody knows then what became of it.
   */
  record(admission: string): Promise<Static<typeof RecordAnswer> | undefined>
  discard(admission: string): Promise<void>
}

export interface IndexedManifest {
  readonly digest: string
  readonly mediaType: string
  /** Whether the index alone has it, and not the registry. */
  readonly kept: boolean
  readonly raw: Buffer
}

export function createIndexClient(imageManager: ServiceClient): IndexClient {
  return {
    catalog: (uid, { n, last }) =>
      imageManager.get(`/internal/catalog?${toQuery({ uid, n, last })}`, NamesPage),

    async tags(repository, { n, last }) {
      const path = `/internal/tags?${toQuery({ repository, n, last })}`
      return imageManager.get(path, NamesPage).catch(unlessStatus(404, undefined))
    },

    referrers: (repository, digest, { artifactType, last }) => {
      const path = `/internal/referrers?${toQuery({ repository, digest, artifactType, last })}`
      return imageManager.get(path, ReferrersAnswer)
    },

    async findManifest(repository, reference) {
      const path = `/internal/manifests?${toQuery({ repository, reference: textOf(reference) })}`
      const found = await imageManager.get(path, ManifestAnswer).catch(unlessStatus(404, undefined))
      return found && { ...found, raw: Buffer.from(found.raw, 'base64') }
    },

    deleteManifest: (repository, reference, force) => {
      const query = toQuery({ repository, reference: textOf(reference), force: force ? 'true' : undefined })
      return imageManager.delete(`/internal/manifests?${query}`, RemovalAnswer)
    },

    async announceBlob(blob) {
      // 404: image-manager is of the version before, for as long as an upgrade takes.
      await imageManager
        .post('/internal/announced-blobs', blob, AnnouncedBlobAnswer)
        .catch(unlessStatus(404, undefined))
    },

    async deleteBlob(repository, digest) {
      const path = `/internal/blobs?${toQuery({ repository, digest })}`
      return (await imageManager.delete(path, RemovalAnswer)).deleted
    },

    async aliasBlob(alias) {
      await imageManager.post('/internal/blob-aliases', alias, BlobAliasAnswer)
    },

    admit: (repository, reference, type, manifest, account) => {
      const asked = { repository, reference: textOf(reference), type, account }
      const path = `/internal/admissions?${toQuery(asked)}`
      return imageManager.postBytes(path, manifest, AnnounceAnswer)
    },

    async record(admission) {
      const path = `/internal/admissions/${admission}/record`
      return imageManager.post(path, {}, RecordAnswer).catch(unlessStatus(404, undefined))
    },

    async discard(admission) {
      await imageManager.delete(`/internal/admissions/${admission}`, RemovalAnswer)
    },
  }
}

function textOf(reference: Reference): string {
  return 'tag' in reference ? reference.tag : reference.digest
}

function unlessStatus<Value>(status: number, value: Value): (error: unknown) => Value {
  return (error) => {
    if (error instanceof ServiceCallError && error.status === status) return value
    throw error
  }
}

function toQuery(parameters: Readonly<Record<string, string | number | undefined>>): string {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined)
  return new URLSearchParams(given.map(([name, value]): [string, string] => [name, String(value)])).toString()
}

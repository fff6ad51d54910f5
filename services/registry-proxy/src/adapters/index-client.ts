import type { RegistryError } from '@registry-manager/oci'
import type { ServiceClient } from '@registry-manager/service-kit'
import {
  AdmissionAnswer,
  NamesPage,
  RecordAnswer,
  ReferrersAnswer,
  RemovalAnswer,
  ServiceCallError,
} from '@registry-manager/service-kit'
import type { Static } from 'typebox'

export interface IndexPage {
  readonly n?: number
  readonly last?: string
}

type Descriptors = Static<typeof ReferrersAnswer>['manifests']

/** What the proxy asks of image-manager. Every method throws ServiceCallError when it does not answer. */
export interface IndexClient {
  catalog(uid: string, page: IndexPage): Promise<Static<typeof NamesPage>>
  /** Undefined when there is no such repository. */
  tags(repository: string, page: IndexPage): Promise<Static<typeof NamesPage> | undefined>
  referrers(repository: string, digest: string, artifactType: string | undefined): Promise<Descriptors>
  /** Whether there was such a manifest or tag. */
  deleteManifest(repository: string, reference: string): Promise<boolean>
  /** Says that a manifest is on its way to the registry. */
  admit(repository: string, reference: string, type: string, manifest: Buffer): Promise<Admitted>
  /** Has written down what the registry has of it. */
  record(admission: string): Promise<Static<typeof RecordAnswer>>
  discard(admission: string): Promise<void>
}

export type Admitted = { readonly id: string } | { readonly refused: RegistryError }

export function createIndexClient(imageManager: ServiceClient): IndexClient {
  return {
    catalog: (uid, { n, last }) =>
      imageManager.get(`/internal/catalog?${toQuery({ uid, n, last })}`, NamesPage),

    async tags(repository, { n, last }) {
      const path = `/internal/tags?${toQuery({ repository, n, last })}`
      return imageManager.get(path, NamesPage).catch(unlessStatus(404, undefined))
    },

    async referrers(repository, digest, artifactType) {
      const path = `/internal/referrers?${toQuery({ repository, digest, artifactType })}`
      return (await imageManager.get(path, ReferrersAnswer)).manifests
    },

    async deleteManifest(repository, reference) {
      const path = `/internal/manifests?${toQuery({ repository, reference })}`
      return (await imageManager.delete(path, RemovalAnswer)).deleted
    },

    async admit(repository, reference, type, manifest) {
      const path = `/internal/admissions?${toQuery({ repository, reference, type })}`
      const refused: RegistryError = { code: 'MANIFEST_INVALID' }
      return imageManager.postBytes(path, manifest, AdmissionAnswer).catch(unlessStatus(400, { refused }))
    },

    record: (admission) => imageManager.post(`/internal/admissions/${admission}/record`, {}, RecordAnswer),

    async discard(admission) {
      await imageManager.delete(`/internal/admissions/${admission}`, RemovalAnswer)
    },
  }
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

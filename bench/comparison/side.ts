import type { StackProcess } from './stack-process.ts'

/** One of the compared servers. All of them do the same work in turn. */
export interface Side {
  /** Its heading in the tables. */
  readonly name: string
  readonly origin: string
  /** Its goals; undefined for a server that is only compared with. */
  readonly goals?: 'volume' | 'cache'
  /** Whether it resolves tags and accepts pushes. nginx with files does neither. */
  readonly isRegistry: boolean
  /** The folder in which distribution stores the content of this side, if this machine has it. */
  readonly images?: string
  readonly stack?: StackProcess
  /**
   * Returns this number of different Authorization headers. A registry without authentication ignores its headers; it
   * gets some of the same length, so that the client has the same work.
   */
  authorizations(scope: string, count: number): Promise<readonly string[]>
  pathOf(kind: 'blobs' | 'manifests', reference: string): string
}

/** The repository that is pulled from. */
export const REPOSITORY = 'bench/image'

const TOKEN_LENGTH = 1200

export const registryPath: Side['pathOf'] = (kind, reference) => `/v2/${REPOSITORY}/${kind}/${reference}`

/** The path of content in distribution's storage. Source: distribution, registry/storage/paths.go. */
export function filePath(digest: string): string {
  const hash = digest.slice('sha256:'.length)
  return `/docker/registry/v2/blobs/sha256/${hash.slice(0, 2)}/${hash}/data`
}

export async function ignoredAuthorizations(_scope: string, count: number): Promise<readonly string[]> {
  return Array.from({ length: count }, (_, token) => `Bearer ${String(token).padStart(TOKEN_LENGTH, 'x')}`)
}

/** The side of a stack. */
export function sideOf(stack: StackProcess, goals: 'volume' | 'cache'): Side {
  return {
    name: goals,
    origin: stack.origin,
    goals,
    isRegistry: true,
    images: stack.images,
    stack,
    authorizations: stack.authorizations,
    pathOf: registryPath,
  }
}

/** The side of a registry without authentication. */
export function bareSide(name: string, origin: string, images?: string): Side {
  return {
    name,
    origin,
    isRegistry: true,
    images,
    authorizations: ignoredAuthorizations,
    pathOf: registryPath,
  }
}

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { startChild } from '../../deploy/local/child-process.ts'
import { freePort } from '../../deploy/local/free-port.ts'
import { findRegistry } from '../../deploy/local/registry-binary.js'
import { registryEnvironment } from '../../deploy/local/registry-environment.ts'
import type { S3Server } from './s3-server.ts'

const CONFIG = fileURLToPath(new URL('../../deploy/registry/config.yml', import.meta.url))

export interface RegistryOnS3Options {
  readonly s3: S3Server
  /** host:port under which clients reach registry-manager. */
  readonly publicHost: string
  /** Folder of the signing keys. */
  readonly keys: string
  /** Whether the registry redirects requests for blobs to S3. */
  readonly redirects: boolean
}

/** The settings of the registry, and of the storage worker, for a bucket. */
export function storageOnS3(s3: S3Server, rootDirectory = ''): Record<string, string> {
  return {
    REGISTRY_STORAGE: 's3',
    REGISTRY_STORAGE_DELETE_ENABLED: 'true',
    REGISTRY_STORAGE_REDIRECT_DISABLE: 'true',
    REGISTRY_STORAGE_S3_BUCKET: s3.bucket,
    REGISTRY_STORAGE_S3_REGION: 'us-east-1',
    REGISTRY_STORAGE_S3_REGIONENDPOINT: s3.url,
    REGISTRY_STORAGE_S3_FORCEPATHSTYLE: 'true',
    REGISTRY_STORAGE_S3_SECURE: 'false',
    ...(rootDirectory !== '' && { REGISTRY_STORAGE_S3_ROOTDIRECTORY: rootDirectory }),
    REGISTRY_STORAGE_S3_ACCESSKEY: s3.accessKey,
    REGISTRY_STORAGE_S3_SECRETKEY: s3.secretKey,
  }
}

/** Starts the registry with the storage settings of the production overlay. Returns its URL. It ends with the test. */
export async function startRegistryOnS3(t: Test, options: RegistryOnS3Options): Promise<string> {
  const { s3, publicHost, keys, redirects } = options
  const binary = findRegistry(process.env, t.comment).REGISTRY_BINARY ?? process.env['REGISTRY_BINARY']
  if (binary === undefined) throw new Error('this test needs a registry binary: set REGISTRY_BINARY')
  const folder = await mkdtemp(join(tmpdir(), 'registry-on-s3-'))
  const url = `http://127.0.0.1:${await freePort()}`
  const { REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY: _, ...shared } = registryEnvironment({
    address: new URL(url).host,
    httpSecret: 'a secret that uploads are signed with',
    folder: '',
    realm: `https://${publicHost}/auth/v2/token`,
    service: publicHost,
    issuer: publicHost,
    authority: join(keys, 'ca.pem'),
  })
  const { stop } = await startChild({
    name: 'the registry on S3',
    command: binary,
    args: ['serve', CONFIG],
    env: {
      ...shared,
      ...storageOnS3(s3),
      REGISTRY_STORAGE_REDIRECT_DISABLE: String(!redirects),
    },
    log: join(folder, 'log'),
    isReady: async () => (await fetch(`${url}/v2/`).catch(() => undefined))?.status === 401,
  })
  t.teardown(async () => {
    await stop()
    await rm(folder, { recursive: true })
  })
  return url
}

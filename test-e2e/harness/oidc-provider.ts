import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { freePort } from '../../deploy/local/free-port.ts'
import { startServer } from './server-process.ts'
import type { WebPage, createWebClient } from './web-client.ts'

const PROCESS = fileURLToPath(new URL('./oidc-provider-process.ts', import.meta.url))

/** A provider that does not run yet. */
export interface PlannedProvider {
  readonly issuer: string
  readonly clientId: string
  readonly clientSecret: string
}

export interface ProviderSettings extends PlannedProvider {
  /** URL of registry-manager. */
  readonly systemUrl: string
  /** Path of the certificate authority of an `https` URL. */
  readonly authority: string | undefined
  /** The groups of every person. */
  readonly groups: readonly string[]
}

/**
 * Chooses the address of a provider, so that the system can be configured before the provider runs. Its host differs
 * from that of the system: browsers then see two sites.
 */
export async function planProvider(): Promise<PlannedProvider> {
  const issuer = `http://127.0.0.1:${await freePort()}`
  return { issuer, clientId: 'registry-manager', clientSecret: 'the-secret-of-the-client' }
}

/** Runs the provider until the test ends. */
export async function startProvider(t: Test, settings: ProviderSettings): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'oidc-provider-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const { hostname: host, port } = new URL(settings.issuer)
  const log = join(folder, 'log')
  await startServer(t, [process.execPath, PROCESS, JSON.stringify(settings)], {
    host,
    port: Number(port),
    log,
  })
}

/** Goes through the provider's pages: any password is right. Returns the page of ours that follows. */
export async function signInAtProvider(
  client: ReturnType<typeof createWebClient>,
  loginPage: WebPage,
  username: string,
): Promise<WebPage> {
  const consent = await client.submit(loginPage, '/interaction/', { login: username, password: 'any' })
  return consent.text.includes('value="consent"') ? client.submit(consent, '/interaction/') : consent
}

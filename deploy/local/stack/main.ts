import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { createSigningKeys } from '@registry-manager/auth-service/embedding'
import { banner } from '../banner.ts'
import { madeSecret, secretFile, takeDataFolder } from '../data-folder.ts'
import { ensureFree, freePort } from '../free-port.ts'
import type { Launch } from '../launch.ts'
import { launch } from '../launch.ts'
import { startRegistry } from '../registry-child.ts'
import type { StackConfig } from './config.ts'
import { readConfig } from './config.ts'
import { FIRST_PASSWORD, planDatabase, prepareDatabase } from './database.ts'
import { startIngress } from './ingress.ts'
import type { Parts, Planned } from './parts.ts'
import { createParts } from './parts.ts'
import { environmentOf, madeSettings } from './service-environment.ts'
import { planBetween, planReplicas, startReplica } from './services.ts'
import { ensureTls } from './tls.ts'

/** A machine that has much to do at its own start may be too slow for the deadlines that a service has. */
const SERVICE_TRIES = 3

async function start({ say, atEnd, endWith }: Launch): Promise<string> {
  const config = readConfig(process.env)
  const { dataDir, ports, publicUrl, signingKeysDir, administrator } = config
  atEnd(takeDataFolder(dataDir))
  for (const port of [ports.https, ports.registry]) await ensureFree('0.0.0.0', port)
  await ensureFree('127.0.0.1', ports.http)
  const parts = createParts(dataDir, { say, atEnd, endWith })
  if (await createSigningKeys(signingKeysDir)) say('made the signing keys')
  const tls = await ensureTls(join(dataDir, 'tls'), hostsOf(publicUrl))

  // All addresses first, and so all settings: what is wrong with them is told before anything is started.
  const database = await planDatabase(config, parts)
  const registry = await planRegistry(config, parts)
  const replicas = await planReplicas(config.replicas)
  const between = await planBetween(config, parts, replicas)
  const made = madeSettings(
    config,
    {
      databaseUrl: database.url,
      registryUrl: registry.url,
      authServiceUrl: between.urlOf('auth-service'),
      imageManagerUrl: between.urlOf('image-manager'),
    },
    process.env,
  )
  const services = replicas.map((replica) => [replica, environmentOf(replica, made, process.env)] as const)

  say('starting the database and the registry')
  await database.start()
  const password = await prepareDatabase(database.url, config, say)
  await registry.start()

  say(`starting the services, ${config.replicas} of each`)
  const keep = parts.group()
  await between.start(keep)
  await Promise.all(
    services.map(([replica, env]) =>
      keep(
        replica.name,
        (onDeath) => startReplica(replica, env, parts.logOf(replica.name), onDeath),
        SERVICE_TRIES,
      ),
    ),
  )

  say('starting nginx')
  await startIngress(config, parts, replicas, registry.url, tls)
  // From now on it has been shown.
  rmSync(secretFile(dataDir, FIRST_PASSWORD), { force: true })
  const { username } = administrator
  return banner({ publicUrl, username, password, dataDir, authority: tls.authority })
}

/** A registry of the stack's own, unless there is one elsewhere. */
async function planRegistry(config: StackConfig, parts: Parts): Promise<Planned> {
  const { dataDir, registry, signingKeysDir, realm, service, issuer } = config
  if (registry.url !== undefined) return { url: registry.url, start: async () => {} }
  const port = await freePort()
  const options = {
    ...registry,
    folder: join(dataDir, 'images'),
    httpSecret: madeSecret(dataDir, 'registry-http-secret').value,
    authority: join(signingKeysDir, 'ca.pem'),
    port,
    realm,
    service,
    issuer,
  }
  return {
    url: `http://127.0.0.1:${port}`,
    start: () => parts.group()('registry', (onDeath) => startRegistry({ ...options, onDeath })),
  }
}

function hostsOf(publicUrl: string): string[] {
  const host = new URL(publicUrl).hostname.replace(/^\[(.*)\]$/, '$1')
  return [...new Set([host, 'localhost', '127.0.0.1'])]
}

launch(start)

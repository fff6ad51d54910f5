import { join } from 'node:path'
import { findUnknownSettings } from '@registry-manager/http'
import { knownSettings } from '../../settings/schemas.ts'
import { banner } from '../banner.ts'
import { madeSecret, takeDataFolder } from '../data-folder.ts'
import { forgetFirstPassword } from '../first-administrator.ts'
import { ensureFree, freePort } from '../free-port.ts'
import type { Launch, Started } from '../run-launcher.ts'
import { launch } from '../run-launcher.ts'
import { keepRotating, watchStorage } from '../logs.ts'
import { startRegistry } from '../registry-child.ts'
import { prepareSigningKeys } from '../signing-keys.ts'
import { findCertificate, watchCertificate } from './certificate.ts'
import type { StackConfig } from './config.ts'
import { readConfig } from './config.ts'
import { planDatabase, prepareDatabase } from './database.ts'
import { startIngress } from './ingress.ts'
import type { Parts, Planned } from './process-group.ts'
import { createParts } from './process-group.ts'
import { environmentOf, madeSettings } from './service-environment.ts'
import { planInternalBalancer, planReplicas, startReplica } from './services.ts'

/** Number of tries for each part: a machine that boots may be too slow for a part's deadline. */
const SERVICE_TRIES = 3

async function start({ say, atEnd, endWith }: Launch): Promise<Started> {
  const config = readConfig(process.env)
  for (const line of findUnknownSettings(Object.keys(process.env), knownSettings())) say(`warning: ${line}`)
  const { dataDir, ports, publicUrl, signingKeysDir, administrator } = config
  // Checked before anything is created: a start that cannot succeed ends at once.
  await ensureFree('0.0.0.0', ports.https, 'HTTPS_PORT')
  await ensureFree('0.0.0.0', ports.registry, 'REGISTRY_PORT')
  await ensureFree('127.0.0.1', ports.http, 'HTTP_PORT')
  await ensureFree('127.0.0.1', ports.internal, 'INTERNAL_PORT')
  atEnd(takeDataFolder(dataDir))
  const parts = createParts(dataDir, { say, atEnd, endWith })
  atEnd(keepRotating(parts.logs, say))
  if (await prepareSigningKeys(signingKeysDir)) say('created the signing keys')
  const tls = await findCertificate(config, say)

  // Addresses and settings of all parts first: a wrong setting ends the start before a part runs.
  const database = await planDatabase(config, parts)
  const registry = await planRegistry(config, parts)
  const replicas = await planReplicas(config.replicas)
  const between = await planInternalBalancer(config, parts, replicas)
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
  atEnd(watchCertificate(config, tls, { say, reload: () => parts.signal('nginx', 'SIGHUP') }))
  atEnd(watchStorage({ log: parts.logOf('registry'), folder: dataDir }, say))
  const { username } = administrator
  const { authority } = tls
  const internalUrl = `http://127.0.0.1:${ports.internal}`
  const names = replicas.map(({ name }) => name)
  return {
    text: banner({
      publicUrl,
      username,
      password,
      dataDir,
      authority,
      internalUrl,
      parts: names,
      logs: parts.logs,
    }),
    afterwards: () => forgetFirstPassword(dataDir),
  }
}

/** Starts the stack's own registry, unless REGISTRY_URL names another one. */
async function planRegistry(config: StackConfig, parts: Parts): Promise<Planned> {
  const { dataDir, registry, signingKeysDir, realm, service, issuer } = config
  if (registry.url !== undefined) return { url: registry.url, start: async () => {} }
  const port = await freePort()
  const options = {
    ...registry,
    folder: join(dataDir, 'images'),
    log: parts.logOf('registry'),
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

launch(start)

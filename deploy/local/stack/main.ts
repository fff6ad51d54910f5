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
import type { Planned, Processes } from './process-group.ts'
import { createProcesses } from './process-group.ts'
import { environmentOf, madeSettings } from './service-environment.ts'
import { planInternalBalancer, planReplicas, planStorageWorkers, startProgram } from './services.ts'

/** Number of tries for each service: a machine that boots may be too slow for its deadline. */
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
  const processes = createProcesses(dataDir, { say, atEnd, endWith })
  atEnd(keepRotating(processes.logs, say))
  if (await prepareSigningKeys(signingKeysDir)) say('created the signing keys')
  const tls = await findCertificate(config, say)

  // Addresses and settings of all processes first: a wrong setting ends the start before a process runs.
  const database = await planDatabase(config, processes)
  const registry = await planRegistry(config, processes)
  const replicas = await planReplicas(config.replicas)
  const programs = [...replicas, ...(await planStorageWorkers(config))]
  const between = await planInternalBalancer(config, processes, programs)
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
  const services = programs.map((program) => [program, environmentOf(program, made, process.env)] as const)

  say('starting the database and the registry')
  await database.start()
  const password = await prepareDatabase(database.url, config, say)
  await registry.start()

  say(`starting the services, ${config.replicas} of each`)
  const keep = processes.group()
  await between.start(keep)
  await Promise.all(
    services.map(([program, env]) =>
      keep(
        program.name,
        (onDeath) => startProgram(program, env, processes.logOf(program.name), onDeath),
        SERVICE_TRIES,
      ),
    ),
  )

  say('starting nginx')
  await startIngress(config, processes, replicas, registry.url, tls, atEnd)
  atEnd(watchCertificate(config, tls, { say, reload: () => processes.signal('nginx', 'SIGHUP') }))
  atEnd(watchStorage({ log: processes.logOf('registry'), folder: dataDir }, say))
  const { username } = administrator
  const { authority } = tls
  const internalUrl = `http://127.0.0.1:${ports.internal}`
  const names = programs.map(({ name }) => name)
  return {
    text: banner({
      publicUrl,
      username,
      password,
      dataDir,
      authority,
      internalUrl,
      names,
      logs: processes.logs,
    }),
    afterwards: () => forgetFirstPassword(dataDir),
  }
}

/** Starts the stack's own registry, unless REGISTRY_URL names another one. */
async function planRegistry(config: StackConfig, processes: Processes): Promise<Planned> {
  const { dataDir, registry, signingKeysDir, realm, service, issuer } = config
  if (registry.url !== undefined) return { url: registry.url, start: async () => {} }
  const port = await freePort()
  const options = {
    ...registry,
    folder: registry.volume,
    log: processes.logOf('registry'),
    httpSecret: madeSecret(dataDir, 'registry-http-secret').value,
    authority: join(signingKeysDir, 'ca.pem'),
    port,
    realm,
    service,
    issuer,
  }
  return {
    url: `http://127.0.0.1:${port}`,
    start: () => processes.group()('registry', (onDeath) => startRegistry({ ...options, onDeath })),
  }
}

launch(start)

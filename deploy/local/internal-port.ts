import { randomBytes } from 'node:crypto'
import { createReadStream, readdirSync, rmSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createMetrics, createServer, requireServiceCredential } from '@registry-manager/http'
import type { FastifyInstance } from 'fastify'

export interface InternalPortOptions {
  /** The internal app of each service, by the service's name. */
  readonly apps: Readonly<Record<string, FastifyInstance>>
  /** The Bearer token that `POST /backup` requires. */
  readonly backupCredential: string
  /** Writes a backup into a new file. */
  readonly backup: (file: string) => Promise<unknown>
  /** Folder for the backup until the client has received it. */
  readonly folder: string
  readonly logLevel: string
}

const PROBES = ['livez', 'readyz', 'metrics'] as const

/**
 * The loopback port for monitoring of `npm start`: `/SERVICE/livez`, `/SERVICE/readyz` and `/SERVICE/metrics` of
 * each service, `/livez` and `/readyz` of all together, and `POST /backup` for `npm run backup`.
 */
export function createInternalPort(options: InternalPortOptions): FastifyInstance {
  const { apps, backupCredential, backup, folder, logLevel } = options
  const app = createServer({ name: 'internal', logLevel, metrics: createMetrics('internal') })
  const names = Object.keys(apps)

  app.get('/', async (_request, reply) => {
    const paths = names.flatMap((name) => PROBES.map((probe) => `/${name}/${probe}`))
    return reply.type('text/plain; charset=utf-8').send(`${['/livez', '/readyz', ...paths].join('\n')}\n`)
  })
  for (const probe of ['livez', 'readyz'] as const) {
    app.get(`/${probe}`, async (_request, reply) => {
      const answers = await Promise.all(Object.values(apps).map((service) => service.inject(`/${probe}`)))
      const ok = answers.every(({ statusCode }) => statusCode === 200)
      const services = Object.fromEntries(names.map((name, index) => [name, answers[index]?.json()]))
      return reply.code(ok ? 200 : 503).send({ status: ok ? 'ok' : 'failed', services })
    })
  }
  for (const [name, service] of Object.entries(apps)) {
    for (const probe of PROBES) {
      app.get(`/${name}/${probe}`, async (_request, reply) => {
        const { statusCode, headers, body } = await service.inject(`/${probe}`)
        return reply.code(statusCode).type(String(headers['content-type'])).send(body)
      })
    }
  }

  void app.register(async (protectedApp) => {
    requireServiceCredential(protectedApp, backupCredential)
    protectedApp.post('/backup', async (_request, reply) => {
      // Written to a file first: the database has one connection, and a slow client must not occupy it.
      const file = join(folder, `.backup-${randomBytes(6).toString('hex')}`)
      await backup(file)
      const stream = createReadStream(file)
      stream.once('close', () => void rm(file, { force: true }))
      return reply.type('application/gzip').send(stream)
    })
  })
  return app
}

/** Removes the files of backups whose process was killed. */
export function removeUnfinishedBackups(folder: string): void {
  const unfinished = readdirSync(folder).filter((name) =>
    /^\.backup-[0-9a-f]{12}(?:\.[0-9a-f]{12}\.part)?$/.test(name),
  )
  for (const name of unfinished) rmSync(join(folder, name))
}

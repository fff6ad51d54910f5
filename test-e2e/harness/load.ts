import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '@registry-manager/testing/until'
import type { DockerEngine } from './docker-engine.ts'
import { findCommand } from './debian-packages.ts'
import { createImage } from './images.ts'
import { CommandError, runCommand } from './run-command.ts'
import type { Credentials, System } from './system.ts'
import { tlsVerify } from './system.ts'

/** Repeated work of clients, with its results. */
export interface Load {
  /** The number of completed runs of each kind of work. */
  readonly done: ReadonlyMap<string, number>
  /** The message of each failure. */
  readonly failures: readonly string[]
  /** Waits until each kind of work was completed this many more times, or many runs failed. */
  waitForMore(times: number): Promise<void>
  /** Stops after the work in progress. */
  stop(): Promise<void>
}

/** Does one unit of work. Each call gets another number. */
export type Work = (number: number) => Promise<unknown>

const LAYERS = { layers: 2, layerBytes: 1 << 20 }

/** Runs all kinds of work repeatedly and concurrently, with pauses. */
export function startLoad(kinds: Readonly<Record<string, Work>>, pauseMs = 0): Load {
  const done = new Map(Object.keys(kinds).map((kind) => [kind, 0]))
  const failures: string[] = []
  const stopping = new AbortController()
  const repeat = async (kind: string, work: Work) => {
    for (let number = 0; !stopping.signal.aborted; number += 1) {
      await work(number).then(
        () => done.set(kind, (done.get(kind) ?? 0) + 1),
        (error: unknown) =>
          failures.push(`${new Date().toISOString()} ${kind} ${number}: ${lastLine(error)}`),
      )
      await sleep(pauseMs)
    }
  }
  const all = Promise.all(Object.entries(kinds).map(([kind, work]) => repeat(kind, work)))
  return {
    done,
    failures,
    async waitForMore(times) {
      const goals = [...done].map(([kind, count]) => [kind, count + times] as const)
      const isThere = () =>
        goals.every(([kind, goal]) => (done.get(kind) ?? 0) >= goal) || failures.length > 20
      await until(isThere, `${times} more runs of each kind of work`, 600)
    },
    async stop() {
      stopping.abort()
      await all
    },
  }
}

/** Returns the last line of a command's output, or the whole message of another error. */
function lastLine(error: unknown): string {
  if (!(error instanceof CommandError)) return String(error)
  return (error.stderr || error.message).trim().split('\n').at(-1) ?? ''
}

/** Pushes and pulls with skopeo and a password; `flags` such as `--retry-times=3`. */
export async function skopeoWork(
  system: System,
  credentials: Credentials,
  folder: string,
  flags: readonly string[] = [],
): Promise<Record<string, Work>> {
  const verify = tlsVerify(system)
  const copy = (source: string, target: string) =>
    runCommand(findCommand('skopeo')!, [
      '--insecure-policy',
      'copy',
      '--quiet',
      ...flags,
      `--src-tls-verify=${verify}`,
      `--dest-tls-verify=${verify}`,
      source.startsWith('docker:') ? '--src-creds' : '--dest-creds',
      `${credentials.username}:${credentials.password}`,
      source,
      target,
    ])
  const remote = (image: string) => `docker://${system.host}/${image}`
  const push = async (image: string, name: string) => {
    const layout = join(folder, name)
    await createImage(layout, { seed: name, ...LAYERS })
    await copy(`oci:${layout}:latest`, remote(image))
    await rm(layout, { recursive: true })
  }
  await push('team/pulled-by-skopeo:1', 'skopeo-first')
  return {
    'skopeo push': (number) => push(`team/pushed-by-skopeo:${number}`, `skopeo-${number}`),
    'skopeo pull': async (number) => {
      const target = join(folder, `skopeo-pulled-${number}`)
      await copy(remote('team/pulled-by-skopeo:1'), `dir:${target}`)
      await rm(target, { recursive: true })
    },
  }
}

/** Pushes and pulls with docker after docker login, each in its own engine. */
export async function dockerWork(
  system: System,
  credentials: Credentials,
  folder: string,
  [pusher, puller]: readonly [DockerEngine, DockerEngine],
): Promise<Record<string, Work>> {
  for (const engine of [pusher, puller]) {
    const login = ['login', '--username', credentials.username, '--password-stdin', system.host]
    await engine.docker(login, { input: credentials.password })
  }
  const push = async (image: string, name: string) => {
    const layout = join(folder, name)
    await createImage(layout, { seed: name, ...LAYERS })
    await runCommand('tar', ['-cf', `${layout}.tar`, '-C', layout, '.'])
    await pusher.docker(['load', '--input', `${layout}.tar`])
    await pusher.docker(['tag', 'made-here:latest', `${system.host}/${image}`])
    await pusher.docker(['push', `${system.host}/${image}`])
    await pusher.docker(['rmi', '--force', `${system.host}/${image}`])
    await rm(layout, { recursive: true })
    await rm(`${layout}.tar`)
  }
  await push('team/pulled-by-docker:1', 'docker-first')
  return {
    'docker push': (number) => push(`team/pushed-by-docker-${number}:1`, `docker-${number}`),
    'docker pull': async () => {
      await puller.docker(['pull', `${system.host}/team/pulled-by-docker:1`])
      await puller.docker(['rmi', '--force', `${system.host}/team/pulled-by-docker:1`])
    },
  }
}

import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { DockerEngine } from './docker-engine.ts'
import { findCommand } from './debian-packages.ts'
import { createImage } from './images.ts'
import { CommandError, runCommand } from './run-command.ts'
import type { Credentials, System } from './system.ts'
import { tlsVerify } from './system.ts'

/** What clients do over and over, and how it went. */
export interface Load {
  /** How often each kind of work was done. */
  readonly done: ReadonlyMap<string, number>
  /** What each failure said. */
  readonly failures: readonly string[]
  /** Waits until each kind of work was done so many times more. */
  goOn(times: number): Promise<void>
  /** Ends after the work that is under way. */
  stop(): Promise<void>
}

/** Does some kind of work once; gets a number that is another one each time. */
export type Work = (number: number) => Promise<unknown>

const LAYERS = { layers: 2, layerBytes: 1 << 20 }

/** Does all these kinds of work, each over and over, side by side, with pauses between. */
export function startLoad(kinds: Readonly<Record<string, Work>>, pauseMs = 0): Load {
  const done = new Map(Object.keys(kinds).map((kind) => [kind, 0]))
  const failures: string[] = []
  const stopping = new AbortController()
  const heard = new Set<() => void>()
  const repeat = async (kind: string, work: Work) => {
    for (let number = 0; !stopping.signal.aborted; number += 1) {
      await work(number).then(
        () => done.set(kind, (done.get(kind) ?? 0) + 1),
        (error: unknown) =>
          failures.push(`${new Date().toISOString()} ${kind} ${number}: ${lastLine(error)}`),
      )
      for (const hear of heard) hear()
      await sleep(pauseMs)
    }
  }
  const all = Promise.all(Object.entries(kinds).map(([kind, work]) => repeat(kind, work)))
  return {
    done,
    failures,
    async goOn(times) {
      const goals = [...done].map(([kind, count]) => [kind, count + times] as const)
      const isThere = () =>
        goals.every(([kind, goal]) => (done.get(kind) ?? 0) >= goal) || failures.length > 20
      while (!isThere()) await new Promise<void>((resolve) => heard.add(resolve))
    },
    async stop() {
      stopping.abort()
      await all
    },
  }
}

/** What a command said last, and the whole of anything else that went wrong. */
function lastLine(error: unknown): string {
  if (!(error instanceof CommandError)) return String(error)
  return (error.stderr || error.message).trim().split('\n').at(-1) ?? ''
}

/** Pushes and pulls by skopeo, signed in by a password; `flags` such as `--retry-times=3`. */
export async function skopeoWork(
  system: System,
  who: Credentials,
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
      `${who.username}:${who.password}`,
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

/** Pushes and pulls by docker, signed in by docker login, each in an engine of its own. */
export async function dockerWork(
  system: System,
  who: Credentials,
  folder: string,
  [pusher, puller]: readonly [DockerEngine, DockerEngine],
): Promise<Record<string, Work>> {
  for (const engine of [pusher, puller]) {
    const login = ['login', '--username', who.username, '--password-stdin', system.host]
    await engine.docker(login, { input: who.password })
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

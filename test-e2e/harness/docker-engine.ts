import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { ensureCommands, findCommand } from './debian-packages.ts'
import { type CommandOptions, type CommandOutput, runCommand } from './run-command.ts'

export interface DockerEngine {
  env: { DOCKER_HOST: string; DOCKER_CONFIG: string }
  /** Runs the docker CLI against this engine. */
  docker(args: string[], options?: CommandOptions): Promise<CommandOutput>
  stop(): Promise<void>
}

/** Returns the reason why no engine can run here, or false. */
export async function dockerIsMissing(): Promise<string | false> {
  const missing = await ensureCommands({ docker: 'docker.io', dockerd: 'docker.io' })
  return missing || (process.getuid?.() !== 0 && 'dockerd needs root')
}

/** Starts a docker engine with an empty store. The engine and its files are removed when the test ends. */
export async function startDockerEngine(t: Test): Promise<DockerEngine> {
  const folder = await mkdtemp(join(tmpdir(), 'docker-engine-'))
  const socket = `unix://${join(folder, 'docker.sock')}`
  const env = { DOCKER_HOST: socket, DOCKER_CONFIG: await createDockerConfig(join(folder, 'config')) }
  // The engine would otherwise read the machine's configuration file, which may contradict the flags.
  await writeFile(join(folder, 'daemon.json'), '{}')

  const log = await open(join(folder, 'docker.log'), 'w')
  // setpriv ends the engine even if this process is killed.
  const engine = spawn(
    'setpriv',
    [
      '--pdeathsig=TERM',
      findCommand('dockerd')!,
      `--host=${socket}`,
      `--config-file=${join(folder, 'daemon.json')}`,
      `--data-root=${join(folder, 'data')}`,
      `--exec-root=${join(folder, 'exec')}`,
      `--pidfile=${join(folder, 'docker.pid')}`,
      '--bridge=none',
      '--iptables=false',
      '--ip6tables=false',
      '--ip-masq=false',
    ],
    { stdio: ['ignore', log.fd, log.fd] },
  )
  const ended = new Promise<void>((resolve) => {
    engine.once('error', resolve)
    engine.once('exit', () => resolve())
  })
  await log.close()

  const stop = async () => {
    engine.kill('SIGTERM')
    await Promise.race([ended, sleep(60_000, undefined, { ref: false })])
    engine.kill('SIGKILL')
    await ended
    await unmountBelow(folder)
    await rm(folder, { recursive: true, force: true, maxRetries: 10 })
  }
  t.teardown(stop)

  const docker = (args: string[], options: CommandOptions = {}) =>
    runCommand(findCommand('docker')!, args, { ...options, env: { ...env, ...options.env } })
  await untilReady(docker, engine, join(folder, 'docker.log'))
  return { env, docker, stop }
}

/** Makes an empty docker client configuration. Returns its folder. */
export async function createDockerConfig(folder: string): Promise<string> {
  await mkdir(folder)
  // A client with any entry in this file uses no credential helper of the machine.
  await writeFile(join(folder, 'config.json'), '{"auths":{"unused.invalid":{}}}')
  return folder
}

async function untilReady(docker: DockerEngine['docker'], engine: { exitCode: number | null }, log: string) {
  for (let attempt = 0; attempt < 300 && engine.exitCode === null; attempt++) {
    const ready = await docker(['version']).catch(() => undefined)
    if (ready) return
    await sleep(100)
  }
  const lines = (await readFile(log, 'utf8')).trimEnd().split('\n')
  throw new Error(`dockerd does not start:\n${lines.slice(-20).join('\n')}`)
}

async function unmountBelow(folder: string) {
  const mounts = (await readFile('/proc/self/mounts', 'utf8')).split('\n').map((line) => line.split(' ')[1])
  const ours = mounts.filter((mount) => mount?.startsWith(`${folder}/`)).toReversed()
  for (const mount of ours) await runCommand('umount', ['--lazy', mount!])
}

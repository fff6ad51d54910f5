// Plain JavaScript for the machine's own Node (20 or newer): it prepares the workspace for Node 26.
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The repository's folder. */
export const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

const STAMP = join(ROOT, 'node_modules', '.installed-lock')

/** Ends the process with one line about the fault and its remedy. */
export function giveUp(line) {
  process.stderr.write(`${line}\n`)
  process.exit(1)
}

/** Installs the workspace from the lock file if the lock file changed. Reports through `say`. */
export function installWorkspace(say) {
  const lock = createHash('sha256')
    .update(readFileSync(join(ROOT, 'pnpm-lock.yaml')))
    .digest('hex')
  if (existsSync(STAMP) && readFileSync(STAMP, 'utf8') === lock) return
  const { packageManager } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  say(`installing packages with ${packageManager} (only when they changed)`)
  const args = ['--yes', packageManager, 'install', '--frozen-lockfile', '--reporter=append-only']
  const { status, error, stdout, stderr } = spawnSync('npx', args, {
    cwd: ROOT,
    encoding: 'utf8',
    env: { ...process.env, CI: 'true' },
  })
  if (status !== 0) giveUp(`the packages cannot be installed:\n${error?.message ?? stdout + stderr}`)
  writeFileSync(STAMP, lock)
}

/** Returns the Node 26 that runs the product: the workspace's, or this one on platforms without its package. */
export function findNode() {
  const own = join(ROOT, 'node_modules', '.bin', 'node')
  if (existsSync(own)) return own
  if (Number(process.versions.node.split('.')[0]) >= 26) return process.execPath
  return giveUp(
    `Node 26 or newer is needed on ${process.platform}-${process.arch}: this is ${process.version}`,
  )
}

/** The environment for programs of the workspace: its own commands come first. */
export function workspaceEnv() {
  const modules = join(ROOT, 'node_modules')
  return {
    ...process.env,
    PATH: `${join(modules, '.bin')}:${process.env.PATH ?? ''}`,
    // Every start compiles the same files. The compile cache saves a quarter of the time.
    NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? join(modules, '.compile-cache'),
  }
}

/**
 * Runs a program until it ends, forwards signals to it, and exits with its exit code. A terminal sends SIGINT to the
 * whole process group; a supervisor sends SIGTERM to this process alone.
 */
export function runProgram(path, args, env, nodeFlags = []) {
  const child = spawn(findNode(), [...nodeFlags, path, ...args], {
    stdio: 'inherit',
    env: { ...workspaceEnv(), ...env },
  })
  process.on('SIGINT', () => {})
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.on('error', (error) => giveUp(`Node 26 cannot be started: ${error.message}`))
  child.on('exit', (code, signal) =>
    process.exit(code ?? (signal === 'SIGINT' || signal === 'SIGTERM' ? 0 : 1)),
  )
}

import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '@registry-manager/testing/until'
import { CONNECT_MS, DEADLINE_MS } from './first-responses.ts'

/** A process with its own ports: the registry, or a replica of a service. */
export interface Listener {
  readonly name: 'registry' | 'auth-service' | 'image-manager' | 'registry-proxy'
  readonly port: number
  /** Undefined for the registry. */
  readonly internalPort: number | undefined
}

/**
 * Finds the processes of a system as soon as they exist. Their environment has the system's folder and their ports.
 * Calls `onListener` for each, and returns when the expected number is reached.
 */
export async function watchListeners(
  dataDir: string,
  expected: number,
  onListener: (listener: Listener) => void,
): Promise<void> {
  const processes = () => readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  const [before, found] = [new Set(processes()), new Set<string>()]
  for (const deadline = Date.now() + DEADLINE_MS; found.size < expected; await sleep(CONNECT_MS)) {
    if (Date.now() > deadline) throw new Error(`only ${found.size} of ${expected} processes were started`)
    for (const pid of processes().filter((pid) => !before.has(pid) && !found.has(pid))) {
      const listener = listenerOf(pid, dataDir)
      if (listener === undefined) continue
      found.add(pid)
      onListener(listener)
    }
  }
}

function listenerOf(pid: string, dataDir: string): Listener | undefined {
  const read = (file: string) => {
    try {
      return readFileSync(`/proc/${pid}/${file}`, 'utf8').split('\0')
    } catch {
      return [] // The process has ended.
    }
  }
  const environment = new Map(read('environ').map((entry) => entry.split(/=(.*)/s, 2) as [string, string]))
  if (environment.get('REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY')?.startsWith(`"${dataDir}/`)) {
    const [, port] = /:(\d+)"$/.exec(environment.get('REGISTRY_HTTP_ADDR') ?? '') ?? []
    return { name: 'registry', port: Number(port), internalPort: undefined }
  }
  if (!environment.get('SERVICE_CREDENTIAL_FILE')?.startsWith(`${dataDir}/`)) return undefined
  const [, name] = /services\/([a-z-]+)\/src\/main\.ts/.exec(read('cmdline').join(' ')) ?? []
  if (name !== 'auth-service' && name !== 'image-manager' && name !== 'registry-proxy') return undefined
  return {
    name,
    port: Number(environment.get('PORT')),
    internalPort: Number(environment.get('INTERNAL_PORT')),
  }
}

/** Waits until a file exists. */
export async function waitForFile(file: string): Promise<string> {
  await until(() => existsSync(file), `${file} exists`, DEADLINE_MS / 1000)
  return file
}

import { readFileSync, writeFileSync } from 'node:fs'
import { atEnd } from './cleanup.ts'

const SAMPLE_MS = 50

export interface MemoryUse {
  /** Resident memory at the beginning, in MiB. */
  readonly before: number
  /** Peak of resident memory, in MiB. */
  readonly peak: number
}

/**
 * Watches a process's resident memory until the returned function is called. That function throws if the process has
 * ended, unless `isToEnd` is set. Source: proc(5), `/proc/pid/status`.
 */
export function watchMemory(pid: number, { isToEnd = false } = {}): () => MemoryUse {
  // Resets the high-water mark to the current resident memory. Source: proc(5), `/proc/pid/clear_refs`.
  writeFileSync(`/proc/${pid}/clear_refs`, '5')
  const before = readMiB(pid, 'VmRSS')
  let peak = before
  const sampling = setInterval(() => {
    try {
      peak = Math.max(peak, readMiB(pid, 'VmHWM'))
    } catch {
      // The process has ended. The returned function reports that.
    }
  }, SAMPLE_MS)
  atEnd(() => clearInterval(sampling))
  return () => {
    clearInterval(sampling)
    if (isToEnd) return { before, peak }
    return { before, peak: Math.max(peak, readMiB(pid, 'VmHWM')) }
  }
}

function readMiB(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const kilobytes = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]
  if (kilobytes === undefined) throw new Error(`process ${pid} has no ${field}: it has ended`)
  return Number(kilobytes) / 1024
}

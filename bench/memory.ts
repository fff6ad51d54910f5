import { readFileSync, writeFileSync } from 'node:fs'
import { atEnd } from './cleanup.ts'

const SAMPLE_MS = 50

export interface MemoryUse {
  /** Resident memory when the watch began, in MiB. */
  readonly before: number
  /** The most that was resident while it lasted, in MiB. */
  readonly peak: number
}

/**
 * Watches a process's resident memory until what it answers is called; that throws when the process has ended, unless
 * it was meant to. Source: proc(5), `/proc/pid/status`.
 */
export function watchMemory(pid: number, { isToEnd = false } = {}): () => MemoryUse {
  // Sets the high-water mark back to what is resident now. Source: proc(5), `/proc/pid/clear_refs`.
  writeFileSync(`/proc/${pid}/clear_refs`, '5')
  const before = readMiB(pid, 'VmRSS')
  let peak = before
  const sampling = setInterval(() => {
    try {
      peak = Math.max(peak, readMiB(pid, 'VmHWM'))
    } catch {
      // It has ended; whoever asks for the result will be told.
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
  if (kilobytes === undefined) throw new Error(`process ${pid} tells no ${field}: it has ended`)
  return Number(kilobytes) / 1024
}

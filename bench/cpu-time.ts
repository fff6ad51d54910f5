import { readFileSync } from 'node:fs'

/** Clock ticks a second in /proc. Source: proc(5), sysconf(_SC_CLK_TCK), which is 100 on every Linux of today. */
const TICKS = 100

/** The CPU time of a process and of its children that still run, in seconds. */
export function cpuSeconds(pid: number): number {
  return [pid, ...childrenOf(pid)].reduce((sum, one) => sum + ownCpuSeconds(one), 0)
}

/** Source: proc(5), `/proc/pid/stat`, fields 14 and 15. The second field may contain blanks. */
function ownCpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS
}

/** Source: proc(5), `/proc/pid/task/tid/children`. */
export function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
}

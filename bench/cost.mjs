// What a process costs, from /proc: CPU time and memory, its threads and children included.
import { readdirSync, readFileSync } from 'node:fs'

/** Linux shows CPU time in hundredths of a second on every architecture Debian has. */
const TICK_US = 10_000

/** User and system time of a process, all its threads and its children, in microseconds. */
export function cpuUs(pid) {
  // The program's name stands in brackets and may hold blanks; utime, stime, cutime and cstime are fields 14 to 17.
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const own = fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) * TICK_US
  return childrenOf(pid).reduce((sum, child) => sum + cpuUsOfChild(child), own)
}

/** One that ended meanwhile is counted in its parent from then on. */
function cpuUsOfChild(pid) {
  try {
    return cpuUs(pid)
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'ESRCH') return 0
    throw error
  }
}

/** Resident memory of a process and its children, in MB. */
export function rssMb(pid) {
  const own = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))[1]) / 1024
  return childrenOf(pid).reduce((sum, child) => sum + rssMb(child), own)
}

function childrenOf(pid) {
  return readdirSync(`/proc/${pid}/task`)
    .flatMap((task) => readFileSync(`/proc/${pid}/task/${task}/children`, 'latin1').split(' '))
    .filter((child) => child !== '')
}

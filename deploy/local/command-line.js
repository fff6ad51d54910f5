// Plain JavaScript that any Node parses: the arguments and the help of every npm script.
/** The oldest Node that the launchers run on; they fetch Node 26 for everything else. */
const OLDEST_NODE = 20

/**
 * What each npm script is: what it does, the operands that it takes (`[NAME]` where one may be left out, `...` where
 * there may be many) and its flags.
 */
export const COMMANDS = {
  start: {
    does: 'Runs registry-manager in one process, everything in ./data. Ctrl-C stops it.',
    more: 'Settings are environment variables: PORT, DATA_DIR, PUBLIC_URL, ADMIN_PASSWORD and others.',
  },
  stack: {
    does: 'Runs registry-manager as in production on this machine, everything in ./data-stack. Ctrl-C stops it.',
    more: 'Settings are environment variables: HTTPS_PORT, DATA_DIR, PUBLIC_URL, TLS_CERTIFICATE and others.',
  },
  compose: {
    does: 'Makes the secrets in deploy/secrets, once, and runs registry-manager in containers on this machine.',
    more: 'Needs a Docker engine and Docker Compose v2. PUBLIC_HOST is the host[:port] that clients use.',
  },
  secrets: {
    operands: ['FOLDER'],
    does: 'Makes the secrets for compose and Kubernetes in a folder. Files that are there are kept.',
    more: 'PUBLIC_HOST is the host[:port] that clients use.',
  },
  'rotate-keys': {
    operands: ['[FOLDER]'],
    flags: { '--all': 'replace all keys at once, because one was stolen; tokens that live end' },
    does: 'Rotates the signing keys in a folder by one. No service needs a restart.',
    more: 'Without FOLDER, the one that SIGNING_KEYS_DIR names. One of both is required.',
  },
  backup: {
    operands: ['FILE'],
    does: 'Writes accounts and the index to a new file, while registry-manager runs or not. Images are not in it.',
    more: 'From the database at DATABASE_URL, or of the DATA_DIR of npm start or npm run stack.',
  },
  restore: {
    operands: ['FILE'],
    does: 'Reads a backup into an empty database: the one at DATABASE_URL, or a new one in DATA_DIR.',
  },
  'reset-password': {
    operands: ['NAME'],
    does: 'Gives an account a new password, which is printed once, and ends its sessions.',
  },
  reconcile: {
    flags: { '--believe-empty': 'forget everything even when the registry lists no repository at all' },
    does: 'Makes the index agree with what the registry holds. Reads the settings of image-manager.',
  },
  bench: {
    operands: ['[MEASUREMENT]...'],
    does: 'Measures this machine: everything, or the measurements named.',
  },
  helm: { does: 'Writes the Helm chart from the Kustomize manifests.' },
  'docs:settings': { does: 'Writes the table of settings into docs/settings.md.' },
}

/**
 * Ends the process, having done nothing, where help is asked for (exit code 0) or the arguments are not what a command
 * takes (exit code 2). Returns the operands and the flags.
 */
export function readArguments(name, args) {
  const answer = checkArguments(name, args)
  if (answer.help !== undefined) {
    process.stdout.write(answer.help)
    process.exit(0)
  }
  if (answer.fault !== undefined) {
    process.stderr.write(`${answer.fault}\n`)
    process.exit(2)
  }
  return answer
}

/** What the arguments of a command are: `{ help }`, `{ fault }`, or `{ operands, flags }`. Changes nothing. */
export function checkArguments(name, args) {
  const { operands: wanted = [], flags: known = {} } = COMMANDS[name]
  if (args.some((arg) => arg === '--help' || arg === '-h')) return { help: helpOf(name) }
  const end = args.indexOf('--')
  const isFlag = (arg, index) => arg.startsWith('-') && arg !== '-' && (end < 0 || index < end)
  const flags = args.filter(isFlag)
  const operands = args.filter((arg, index) => !isFlag(arg, index) && index !== end)
  const script = scriptOf(name)
  const see = `${script} -- --help tells more`
  const unknown = flags.find((flag) => !(flag in known))
  if (unknown !== undefined) return { fault: `${script} has no option ${unknown}: ${see}` }
  const required = wanted.filter((operand) => !operand.startsWith('['))
  if (operands.length < required.length || operands.includes('')) {
    return {
      fault: `${script} -- ${wanted.join(' ')}: ${required[operands.length]} is missing; ${see}`,
    }
  }
  if (operands.length > wanted.length && !wanted.some((operand) => operand.endsWith('...'))) {
    return { fault: `${script} takes no argument ${operands[wanted.length]}: ${see}` }
  }
  return { operands, flags }
}

function scriptOf(name) {
  return name === 'start' ? 'npm start' : `npm run ${name}`
}

function helpOf(name) {
  const { operands = [], flags = {}, does, more } = COMMANDS[name]
  const script = scriptOf(name)
  const names = Object.keys(flags)
  const words = [...names.map((flag) => `[${flag}]`), ...operands]
  const lines = [`usage: ${[script, ...(words.length > 0 ? ['--', ...words] : [])].join(' ')}`, '', does]
  if (more) lines.push(more)
  if (names.length > 0) lines.push('', ...names.map((flag) => `  ${flag}   ${flags[flag]}`))
  lines.push('', 'docs/settings.md lists all settings, docs/operating.md explains the commands.', '')
  return lines.join('\n')
}

/** Ends the process with one line where this Node is too old for the launchers. */
export function requireNode(version = process.versions.node) {
  if (Number(version.split('.')[0]) >= OLDEST_NODE) return
  process.stderr.write(
    `Node ${OLDEST_NODE} or newer is needed to start, and this is Node ${version}: install a newer one\n`,
  )
  process.exit(1)
}

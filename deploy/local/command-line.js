// Plain JavaScript that any Node parses: the arguments and the help of every npm script.
/** The oldest Node that the launchers run on; they fetch Node 26 for everything else. */
const OLDEST_NODE = 20

/**
 * Every npm script: what it does, its operands (`[NAME]` is optional, `...` may repeat) and its flags. A flag such as
 * `--passwords=FILE` has a value.
 */
export const COMMANDS = {
  start: {
    does: 'Runs registry-manager in one process, with all data in ./data. Ctrl-C stops it.',
    more: 'Settings are environment variables: PORT, DATA_DIR, PUBLIC_URL, ADMIN_PASSWORD and others.',
  },
  stack: {
    does: 'Runs registry-manager as in production on this machine, with all data in ./data-stack. Ctrl-C stops it.',
    more: 'Settings are environment variables: HTTPS_PORT, DATA_DIR, PUBLIC_URL, TLS_CERTIFICATE and others.',
  },
  compose: {
    does: 'Creates the secrets in deploy/secrets once, and runs registry-manager in containers on this machine.',
    more: 'Needs a Docker engine and Docker Compose v2. PUBLIC_HOST is the host[:port] that clients use.',
  },
  secrets: {
    operands: ['FOLDER'],
    does: 'Creates the secrets for compose and Kubernetes in a folder. Keeps files that exist.',
    more: 'PUBLIC_HOST is the host[:port] that clients use.',
  },
  'rotate-keys': {
    operands: ['[FOLDER]'],
    flags: { '--all': 'replace all keys at once, because one was stolen; this ends all access tokens' },
    does: 'Rotates the signing keys in a folder by one. No service needs a restart.',
    more: 'Without FOLDER it uses SIGNING_KEYS_DIR. One of the two is required.',
  },
  backup: {
    operands: ['FILE'],
    does: 'Writes accounts and the index to a new file, even while registry-manager runs. It contains no images.',
    more: 'Reads the database at DATABASE_URL, or the DATA_DIR of npm start or npm run stack.',
  },
  restore: {
    operands: ['FILE'],
    does: 'Reads a backup into an empty database: the one at DATABASE_URL, or a new one in DATA_DIR.',
  },
  'reset-password': {
    operands: ['NAME'],
    does: 'Sets a new password for an account, prints it once, and ends the sessions of the account.',
  },
  reconcile: {
    flags: {
      '--believe-empty':
        'accept that the registry lists no repository; this removes every repository from the index',
    },
    does: 'Updates the index of repositories, tags and manifests from the registry. Reads the settings of image-manager.',
  },
  apply: {
    operands: ['FILE'],
    flags: {
      '--dry-run': 'print the difference and change nothing; the exit code is 3 if there is one',
      '--passwords=FILE': 'append the passwords of new users and registry tokens to this file',
    },
    does: 'Changes grants, groups, users, registry tokens and trust rules until they match a YAML file.',
    more: 'PUBLIC_URL is the server, by default that of npm start; APPLY_USERNAME and APPLY_PASSWORD sign in there.',
  },
  import: {
    operands: ['KIND', 'SOURCE'],
    flags: {
      '--output=FILE': 'the file to write; access.yaml by default',
      '--apply':
        'also apply the file, as npm run apply does; refused if that would remove or change existing entries',
      '--passwords=FILE': 'append the passwords of new users and registry tokens to this file',
      '--any-depth':
        'docker_auth: convert team/* to all repositories below team, instead of one more path component',
      '--provider=ID':
        'harbor: the id of the OpenID Connect provider in registry-manager at which the users sign in',
    },
    does: 'Writes users, groups, rights and robots of another registry into a file for npm run apply.',
    more: 'KIND SOURCE is docker_auth FILE, htpasswd FILE, or harbor URL (with HARBOR_USERNAME and HARBOR_PASSWORD).',
  },
  storage: {
    does: 'Prints the usage of the storage, and the largest namespaces and repositories with the bytes that a deletion frees.',
    more: 'PUBLIC_URL is the server, by default that of npm start; APPLY_USERNAME and APPLY_PASSWORD sign in there.',
  },
  bench: {
    operands: ['[MEASUREMENT]...'],
    flags: { '--all': 'all measurements, also those that run only by name; this takes about an hour' },
    does: 'Compares the stack with a bare registry in ten minutes, or runs the named measurements.',
    more: 'Writes docs/performance.md. ZOT_BINARY and DISTRIBUTION_BINARY name other registries to compare with.',
  },
  helm: { does: 'Writes the Helm chart from the Kustomize manifests.' },
  'docs:settings': { does: 'Writes the table of settings into docs/settings.md.' },
}

/**
 * Returns the operands and flags of a command. Prints the help and exits with code 0 for `--help`; prints the fault and
 * exits with code 2 for arguments that the command does not take.
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

/** Checks the arguments of a command. Returns `{ help }`, `{ fault }`, or `{ operands, flags }`. */
export function checkArguments(name, args) {
  const { operands: wanted = [], flags: known = {} } = COMMANDS[name]
  if (args.some((arg) => arg === '--help' || arg === '-h')) return { help: helpOf(name) }
  const end = args.indexOf('--')
  const isFlag = (arg, index) => arg.startsWith('-') && arg !== '-' && (end < 0 || index < end)
  const flags = args.filter(isFlag)
  const operands = args.filter((arg, index) => !isFlag(arg, index) && index !== end)
  const script = scriptOf(name)
  const see = `${script} -- --help tells more`
  const unknown = flags.find((flag) => !isKnown(flag, Object.keys(known)))
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

/** Whether a flag is one of those that a command has: with a value if and only if that flag has one. */
function isKnown(flag, known) {
  const [, name, value] = /^([^=]*=?)(.*)$/s.exec(flag)
  if (!name.endsWith('=')) return known.includes(name)
  return value !== '' && known.some((one) => one.startsWith(name))
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

/** Exits with one line if this Node is too old for the launchers. */
export function requireNode(version = process.versions.node) {
  if (Number(version.split('.')[0]) >= OLDEST_NODE) return
  process.stderr.write(
    `Node ${OLDEST_NODE} or newer is needed to start, and this is Node ${version}: install a newer one\n`,
  )
  process.exit(1)
}

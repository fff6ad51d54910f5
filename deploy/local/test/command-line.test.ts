import { spawnSync } from 'node:child_process'
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import type { COMMANDS } from '../command-line.js'
import { checkArguments } from '../command-line.js'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
  scripts: Record<string, string>
}
/** Our commands except `npm test`, which test-run.test.ts covers. */
const own = Object.entries(scripts).filter(
  ([name, script]) => script.startsWith('node deploy/local/') && name !== 'test',
)

const run = (command: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env) =>
  spawnSync(command, args, { cwd: ROOT, encoding: 'utf8', timeout: 60_000, env })

t.test(
  'checkArguments returns the operands and flags of a command, or the fault of its arguments',
  async (t) => {
    const cases: [keyof typeof COMMANDS, string[], object][] = [
      ['secrets', ['folder'], { operands: ['folder'], flags: [] }],
      ['secrets', ['--', '--help-me'], { operands: ['--help-me'] }],
      ['secrets', [], { fault: /FOLDER is missing/ }],
      ['secrets', [''], { fault: /is missing/ }],
      ['secrets', ['one', 'two'], { fault: /takes no argument two/ }],
      ['secrets', ['--force', 'one'], { fault: /no option --force/ }],
      ['secrets', ['one', '-h'], { help: /^usage: npm run secrets -- FOLDER/ }],
      ['start', ['--port=1'], { fault: /^npm start has no option --port=1/ }],
      ['start', ['x'], { fault: /takes no argument x/ }],
      ['rotate-keys', ['--all'], { operands: [], flags: ['--all'] }],
      ['rotate-keys', ['folder', '--all'], { operands: ['folder'], flags: ['--all'] }],
      ['bench', ['one', 'two', 'three'], { operands: ['one', 'two', 'three'] }],
      ['backup', ['--help'], { help: /FILE/ }],
      [
        'apply',
        ['x', '--passwords=y=z', '--dry-run'],
        { operands: ['x'], flags: ['--passwords=y=z', '--dry-run'] },
      ],
      ['apply', ['x', '--passwords='], { fault: /no option --passwords=:/ }],
      ['apply', ['x', '--passwords', 'y'], { fault: /no option --passwords:/ }],
      ['apply', ['x', '--dry-run=yes'], { fault: /no option --dry-run=yes/ }],
    ]
    for (const [name, args, expected] of cases)
      t.match(checkArguments(name, args), expected, `${name} ${args.join(' ')}`)
  },
)

t.test('every npm script only prints its help with --help, and refuses an unknown option', async (t) => {
  t.ok(own.length >= 10)
  const before = readdirSync(ROOT).toSorted()
  for (const [name, script] of own) {
    for (const flag of ['--help', '-h']) {
      const { status, stdout, stderr } = run('sh', ['-c', `${script} ${flag}`])
      t.equal(status, 0, `${name} ${flag}`)
      t.match(stdout, /^usage: npm (run )?[a-z:-]+/, `${name} prints its help`)
      t.equal(stderr, '')
    }
    const { status, stderr } = run('sh', ['-c', `${script} --no-such-option`])
    t.equal(status, 2, `${name} refuses an unknown option`)
    t.match(stderr, /has no option --no-such-option: .* --help tells more/)
  }
  t.strictSame(readdirSync(ROOT).toSorted(), before, 'no file was created')
})

t.test('npm run rotate-keys without a folder changes nothing and prints its usage', async (t) => {
  const env = { ...process.env, SIGNING_KEYS_DIR: '' }
  const { status, stderr } = run('sh', ['-c', scripts['rotate-keys'] ?? ''], env)
  t.equal(status, 2)
  t.match(stderr, /^usage: rotate-keys \[--all\] FOLDER/)
})

t.test(
  'every command of the image only prints its help with --help, and refuses an unknown option',
  async (t) => {
    const image = readFileSync(join(ROOT, 'deploy', 'docker', 'registry-manager'), 'utf8')
    const script = join(t.testdir(), 'registry-manager')
    // The image has the repository at /app.
    writeFileSync(script, image.replace('cd /app', `cd '${ROOT}'`))
    const commands = [
      'auth-service',
      'image-manager',
      'registry-proxy',
      'migrate',
      'backup',
      'restore',
      'reconcile',
      'rotate-keys',
    ]
    for (const command of commands) {
      const help = run('sh', [script, command, '--help'])
      t.equal(help.status, 0, `${command} --help`)
      t.match(help.stdout, /^usage: registry-manager /)
      const wrong = run('sh', [script, command, '--no-such-option'])
      t.equal(wrong.status, 2, `${command} --no-such-option`)
      t.match(wrong.stderr, `registry-manager ${command}: there is no option --no-such-option`)
    }
    t.equal(run('sh', [script, '--help']).status, 0)
    t.match(run('sh', [script, 'no-such']).stderr, /has no command no-such\nusage: /)
    t.match(run('sh', [script, 'backup', 'one', 'two']).stderr, /takes no argument two/)
    t.equal(run('sh', [script]).status, 2)
    const missing = run('sh', [script, 'rotate-keys', '--all', join(t.testdirName, 'nowhere')])
    t.match(
      missing.stderr,
      /^could not rotate the signing keys in .*nowhere: /,
      'the command gets flags and operands',
    )
  },
)

t.test('npm run compose names the missing one of Docker, Compose v2 and a running engine', async (t) => {
  const compose = join(ROOT, 'deploy', 'local', 'compose.js')
  const without = run(process.execPath, [compose], { PATH: dirname(process.execPath) })
  t.equal(without.status, 1)
  t.match(without.stderr, /^npm run compose needs Docker: install a Docker engine/)
  if (run('docker', ['--version']).status !== 0) return
  const elsewhere = { ...process.env, DOCKER_HOST: 'unix:///nowhere/docker.sock' }
  const { status, stderr } = run(process.execPath, [compose], elsewhere)
  t.equal(status, 1)
  const hasCompose = run('docker', ['compose', 'version']).status === 0
  t.match(
    stderr,
    hasCompose ? /needs a Docker engine that runs/ : /needs Docker Compose v2 \(docker compose\)/,
  )
  t.equal(stderr.trimEnd().split('\n').length, 1, 'the error is one line')
})

t.test('the error for an old version of Node is one line', async (t) => {
  const program = `import('${join(ROOT, 'deploy', 'local', 'command-line.js')}').then((m) => m.requireNode('16.20.2'))`
  const { status, stderr } = run(process.execPath, ['-e', program])
  t.equal(status, 1)
  t.equal(stderr, 'Node 20 or newer is needed to start, and this is Node 16.20.2: install a newer one\n')
})

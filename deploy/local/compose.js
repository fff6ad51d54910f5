// `npm run compose`: creates the secrets once, and starts deploy/compose.yaml.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { readArguments, requireNode } from './command-line.js'
import { ROOT, findNode, giveUp, installWorkspace, workspaceEnv } from './workspace.js'

requireNode()
readArguments('compose', process.argv.slice(2))
const fault = findComposeFault((...args) => spawnSync('docker', args, { encoding: 'utf8', timeout: 30_000 }))
if (fault !== undefined) giveUp(fault)
installWorkspace((line) => process.stdout.write(`· ${line}\n`))
const run = (command, args) => {
  const { status, error } = spawnSync(command, args, { cwd: ROOT, stdio: 'inherit', env: workspaceEnv() })
  if (error) giveUp(`${command} cannot be started: ${error.message}`)
  if (status !== 0) process.exit(status ?? 1)
}
run(findNode(), [join(ROOT, 'deploy', 'local', 'make-secrets.ts'), 'deploy/secrets'])
const image = process.env.IMAGE ? '--no-build' : '--build'
run('docker', ['compose', '-p', 'registry-manager', '-f', 'deploy/compose.yaml', 'up', image, '--wait'])

/** Returns one line that says what compose lacks; undefined if it can be used. */
function findComposeFault(docker) {
  const client = docker('--version')
  if (client.error || client.status !== 0) {
    return 'npm run compose needs Docker: install a Docker engine, its command line and Docker Compose v2'
  }
  const compose = docker('compose', 'version', '--short')
  if (compose.status !== 0) {
    return 'npm run compose needs Docker Compose v2 (docker compose): install the package docker-compose-plugin'
  }
  const version = compose.stdout.trim().replace(/^v/, '')
  if (Number(version.split('.')[0]) < 2)
    return `npm run compose needs Docker Compose v2, and this is ${version}`
  const engine = docker('version', '--format', '{{.Server.Version}}')
  if (engine.status !== 0) {
    const reason = `${engine.stderr}`.trim().split('\n').pop()
    return `npm run compose needs a Docker engine that runs and that this user may use: ${reason}`
  }
  return undefined
}

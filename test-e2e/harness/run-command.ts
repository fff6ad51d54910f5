import { spawn } from 'node:child_process'

export interface CommandOptions {
  /** added to this process's environment */
  env?: Record<string, string>
  /** written to standard input: where passwords belong */
  input?: string
  cwd?: string
  timeoutSeconds?: number
}

export interface CommandOutput {
  stdout: string
  stderr: string
}

/** A command that ended in anything but exit code 0. `code` is null when it was killed or ran out of time. */
export class CommandError extends Error {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string

  constructor(commandLine: string, outcome: string, code: number | null, output: CommandOutput) {
    super(`${commandLine}\n${outcome}\n${output.stderr || output.stdout}`)
    this.name = 'CommandError'
    this.code = code
    this.stdout = output.stdout
    this.stderr = output.stderr
  }
}

/** Runs a command without a shell and answers what it printed; throws a CommandError when it fails. */
export function runCommand(
  command: string,
  args: string[],
  { env, input, cwd, timeoutSeconds = 120 }: CommandOptions = {},
): Promise<CommandOutput> {
  return new Promise((resolve, reject) => {
    const commandLine = [command, ...args].join(' ')
    const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: 'pipe' })
    const output = { stdout: '', stderr: '' }
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text))
    // A command that ends without reading its input breaks the pipe; its exit code tells the story.
    child.stdin.on('error', () => {})
    child.stdin.end(input)

    let timedOut = false
    const deadline = setTimeout(() => {
      timedOut = true
      child.kill('SIGKILL')
    }, timeoutSeconds * 1000)
    child.once('error', (cause) => {
      clearTimeout(deadline)
      reject(new CommandError(commandLine, cause.message, null, output))
    })
    child.once('close', (code, signal) => {
      clearTimeout(deadline)
      if (code === 0) return resolve(output)
      const outcome = timedOut ? `no end after ${timeoutSeconds} s` : `ended with ${signal ?? code}`
      reject(new CommandError(commandLine, outcome, code, output))
    })
  })
}

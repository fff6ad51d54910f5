import { spawn } from 'node:child_process'

export interface CommandOptions {
  /** Added to this process's environment. */
  env?: Record<string, string>
  /** Written to standard input. Passwords belong here. */
  input?: string
  cwd?: string
  timeoutSeconds?: number
}

export interface CommandOutput {
  stdout: string
  stderr: string
}

/** A failed command. `code` is null if it was killed or timed out. */
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

/** Runs a command without a shell. Returns its output. Throws a CommandError if it fails. */
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
    // A command that ends without reading its input breaks the pipe. Its exit code is reported instead.
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
      const outcome = timedOut ? `timed out after ${timeoutSeconds} s` : `ended with ${signal ?? code}`
      reject(new CommandError(commandLine, outcome, code, output))
    })
  })
}

/** `npm run storage`: prints what the storage holds and which repositories use it, through the management API. */
import { EXIT, clientOf, runAsCommand } from '../apply/command.ts'
import { printStorage } from './print-storage.ts'

await runAsCommand(async () => {
  await printStorage(clientOf(process.env), (line) => process.stdout.write(`${line}\n`))
  return EXIT.done
})

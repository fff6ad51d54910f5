import type { Teardown } from './server-process.ts'
import { sambaIsMissing, startSamba } from './samba.ts'
import { slapdIsMissing, startSlapd } from './slapd.ts'
import type { TestDirectory } from './test-directory.ts'

export interface DirectoryKind {
  readonly name: string
  /** The reason why it cannot run here, or false. */
  readonly missing: string | false
  /** Whether nested groups are resolved. */
  readonly nested: boolean
  start(scope: Teardown): Promise<TestDirectory>
}

/** Returns the kinds of real directories for tests. */
export async function directoryKinds(): Promise<readonly DirectoryKind[]> {
  return [
    { name: 'Active Directory (Samba)', missing: await sambaIsMissing(), nested: true, start: startSamba },
    { name: 'OpenLDAP', missing: await slapdIsMissing(), nested: false, start: startSlapd },
  ]
}

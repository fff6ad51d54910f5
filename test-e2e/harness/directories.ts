import type { Ending } from './beside.ts'
import { sambaIsMissing, startSamba } from './samba.ts'
import { slapdIsMissing, startSlapd } from './slapd.ts'
import type { TestDirectory } from './test-directory.ts'

export interface DirectoryKind {
  readonly name: string
  /** Why it cannot run here, or false when it can. */
  readonly missing: string | false
  /** Whether groups within groups count. */
  readonly nested: boolean
  start(ending: Ending): Promise<TestDirectory>
}

/** The real directories that tests meet. */
export async function directoryKinds(): Promise<readonly DirectoryKind[]> {
  return [
    { name: 'Active Directory (Samba)', missing: await sambaIsMissing(), nested: true, start: startSamba },
    { name: 'OpenLDAP', missing: await slapdIsMissing(), nested: false, start: startSlapd },
  ]
}

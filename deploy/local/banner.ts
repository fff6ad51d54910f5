export interface BannerInput {
  readonly publicUrl: string
  readonly username: string
  /** Only when it was made just now. */
  readonly password: string | undefined
  readonly dataDir: string
}

/** What is printed once everything serves. */
export function banner({ publicUrl, username, password, dataDir }: BannerInput): string {
  const { host } = new URL(publicUrl)
  const lines = [
    '',
    `registry-manager serves at ${publicUrl}`,
    ...(password === undefined
      ? []
      : ['', `  administrator  ${username}`, `  password       ${password}   (shown this once)`]),
    '',
    'Try it:',
    `  docker login ${host} -u ${username}`,
    `  docker tag alpine ${host}/team/alpine`,
    `  docker push ${host}/team/alpine`,
    `  curl -u ${username} -d username=jane -d password=CHANGE-ME-NOW -d namespaces=team ${publicUrl}/user`,
    '',
    `Everything is kept in ${dataDir}. Ctrl-C stops.`,
    '',
  ]
  return lines.join('\n')
}

/**
 * The script that completes the command line in bash. It is built from the tables of the parser.
 */
import { COMMANDS } from './help.ts'
import { optionsOf } from './option-table.ts'

/**
 * Returns the script. It calls no program, because a completion that starts Node would make the
 * user wait at each key.
 */
export function completionScript(): string {
  // No word contains a quotation mark or a character that the shell expands, because all come from
  // the tables of this program.
  const cases = COMMANDS.map((name) => {
    const options = optionsOf(name).map((option) => `--${option}`)
    const words = [...(name === 'completion' ? ['bash'] : []), ...options].join(' ')
    return `    ${name}) words='${words}' ;;`
  })
  return `# Completes partial-upload in bash: source <(partial-upload completion bash)
_partial_upload() {
  local word=\${COMP_WORDS[COMP_CWORD]} words=''
  case \${COMP_WORDS[1]} in
${cases.join('\n')}
  esac
  if ((COMP_CWORD == 1)); then words='${[...COMMANDS, 'help', '--help', '--version'].join(' ')}'; fi
  if ((COMP_CWORD > 1)) && [[ \${COMP_WORDS[1]} == help ]]; then words='${COMMANDS.join(' ')}'; fi
  # Without a match bash completes the names of files (complete -o default).
  if ((COMP_CWORD == 1)) || [[ $word == -* || \${COMP_WORDS[1]} == help || \${COMP_WORDS[1]} == completion ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
  fi
}
complete -o default -F _partial_upload partial-upload`
}

/**
 * The texts of `--help`, in the order of those of rclone: usage, description, examples, and then
 * the options of the command before those of all commands. No line is longer than 80 columns, apart
 * from examples.
 */

/**
 * The names of the commands, in the order of the help: transfers first, as in rclone and aws s3.
 */
export const COMMANDS = ['put', 'get', 'ls', 'status', 'patch', 'rm', 'completion'] as const

/** Name of a command. */
export type CommandName = (typeof COMMANDS)[number]

/** The help of the options that every command has. */
const COMMON = `

Options of every command:
  -H 'NAME: VALUE'  send this field with every request; may be repeated
  --retries N       give up after N failures in a row without a byte of
                    progress (default 20)
  --timeout SECONDS repeat a request after this time without a byte (default
                    30; 0 for no limit); the server has at least 300 seconds
                    to verify an upload
  --wait            keep trying if no server answers at the address; by
                    default the command fails after a few seconds
  --json            print events as JSON, one object per line
  -v, --verbose     print each request and the status of its answer
  -q, --quiet       print errors only
  -h, --help        print this help`

/** The help of the options that choose files. */
const FILTERS = `
  --include PATTERN only these files; may be repeated
  --exclude PATTERN without these files; may be repeated, and always wins
                    over --include`

/** What a pattern matches. */
const ABOUT_PATTERNS = `
In the patterns of --include and --exclude, * and ? match parts of a name, and
** matches folders of any depth. A pattern without a slash matches the name of a
file or of a folder that it is in. One with a slash matches a path below URL.
`

/** The help of the option for the list. */
const LIST = `
  --list URL        the list of the server (default: ../list, seen from the
                    folder at URL or in PARTIAL_UPLOAD_URL)`

/** The help of the program: `partial-upload --help`. */
export const HELP = `partial-upload: uploads and downloads that survive a broken connection

Usage:
  partial-upload put FILE... URL       upload files and folders
  partial-upload get URL [FILE]        download a file
  partial-upload get -r URL [FOLDER]   download the files of a folder
  partial-upload ls URL                list the files of a folder
  partial-upload status URL            show how much the server has
  partial-upload patch URL --at N FILE overwrite bytes of a file on the server
  partial-upload rm URL...             remove files, finished or not
  partial-upload completion bash       print a script that completes commands

After a broken connection a transfer resumes by itself. After Ctrl-C, a crash
or a restart, run the same command again: it transfers only what is missing.

Examples:
  partial-upload put film.mp4 https://example.org/files/film.mp4
  partial-upload put *.jpg photos https://example.org/files/
  tar -c photos | partial-upload put - https://example.org/files/photos.tar
  partial-upload get https://example.org/files/film.mp4
  partial-upload get -r https://example.org/files/ backup

Options:
  -h, --help        print this help; after a command, the help of the command
  -v, --version     print the version; after a command, -v means --verbose

Environment:
  PARTIAL_UPLOAD_TOKEN
                    send "Authorization: Bearer TOKEN" with every request, unless
                    -H or the URL has another one; other users of the machine
                    can read the arguments of a command, but not its environment
  PARTIAL_UPLOAD_URL
                    URL of a folder. A URL that does not begin with http is the
                    path of a file below it, and put and ls need no URL. The
                    token is sent to this server only

Exit codes:
  0    done
  1    failed
  2    wrong usage
  3    refused, because a file that may be different is already there
  130  stopped by Ctrl-C; the same command resumes`

/** The help of each command: `partial-upload put --help`. */
export const COMMAND_HELP: Readonly<Record<CommandName, string>> = {
  put: `partial-upload put FILE... URL

Uploads files. Bytes that an earlier attempt has stored are not sent again, and
a file that the server already has is reported as "skipped (same)". If the URL
holds a different file, the command leaves it alone (exit code 3).

A single FILE goes to URL. If URL ends in a slash, files and folders go below
it under their own names: photos/a.jpg of the folder photos becomes
URL/photos/a.jpg, and of photos/. becomes URL/a.jpg. The FILE - is the standard
input. In a quoted FILE, * and ? match parts of a name, and ** matches folders
of any depth. If PARTIAL_UPLOAD_URL is set, URL may be left out.

A symbolic link is followed if it is given as FILE. Inside a folder, symbolic
links, named pipes, sockets and devices are skipped, with a line about each.
${ABOUT_PATTERNS}
Examples:
  partial-upload put film.mp4 https://example.org/files/film.mp4
  partial-upload put *.jpg photos https://example.org/files/
  partial-upload put 'photos/**/*.jpg' https://example.org/files/
  partial-upload put --dry-run --exclude node_modules site https://example.org/files/
  tar -c photos | partial-upload put - https://example.org/files/photos.tar

Options:
  -n, --dry-run     send nothing, and print what would be done
  --overwrite       replace a different file
  --checksum        after the upload, compare the SHA-256 of the file with that
                    of the server, and print it
  --concurrency N   number of files to send at the same time (default 4)
  --content-type T  media type of the files (default: by their endings)
  --limit-rate N    at most N bytes per second in all, such as 500K or 1.5M${FILTERS}${COMMON}`,

  get: `partial-upload get URL [FILE]
partial-upload get -r URL [FOLDER]

Downloads to FILE. If FILE is a folder or is not given, the name is the last
part of URL. Until the download is complete, its bytes are in FILE.part, and
FILE.part.json records their version. The same command resumes that version, or
starts again if the server has a new one. The FILE - is the standard output.

Only a regular file is replaced, and its permissions are kept. A symbolic link,
a device or a named pipe at FILE or FILE.part is refused. If FILE has the same
SHA-256 as the file on the server, it is reported as "skipped (same)".

With --recursive, the files in the list of the server that are below URL are
downloaded into FOLDER, or into the current folder. Incomplete ones are skipped.
${ABOUT_PATTERNS}
If the server sends a SHA-256 of the file, the command verifies it. It follows
redirections, but refuses a web page in place of the file, such as a login.

Examples:
  partial-upload get https://example.org/files/film.mp4
  partial-upload get https://example.org/files/film.mp4 films/first.mp4
  partial-upload get https://example.org/files/photos.tar - | tar -x
  partial-upload get -r --include '*.jpg' https://example.org/files/ photos

Options:
  -n, --dry-run     write nothing, and print what would be done
  --overwrite       replace FILE if it is different (otherwise exit code 3)
  --limit-rate N    at most N bytes per second in all, such as 500K or 1.5M
  -r, --recursive   download all files below URL

Options of --recursive:
  --concurrency N   number of files to fetch at the same time (default 4)${FILTERS}${LIST}${COMMON}`,

  ls: `partial-upload ls URL

Prints the files below the folder at URL, finished or not: the time of the last
change in UTC, the number of bytes and the path. If PARTIAL_UPLOAD_URL is set,
URL may be left out, or be a path below it.

The list comes from a route of the app, which answers GET with a JSON array of
objects with the members key (or name) and size, and perhaps length, complete
and modified. For the files at /files/ it is expected at /list.
${ABOUT_PATTERNS}
Examples:
  partial-upload ls https://example.org/files/
  partial-upload ls --include '*.jpg' --json https://example.org/files/
  partial-upload ls --list https://example.org/api/list https://example.org/files/

Options:${FILTERS}${LIST}${COMMON}`,

  status: `partial-upload status URL

Prints what the server has at URL, one "name: value" per line: state (complete
or incomplete), size (bytes that the server has), length (bytes of the finished
file, if known), type and etag. The exit code is 1 if there is no file at URL.

Examples:
  partial-upload status https://example.org/files/film.mp4

Options: none of its own${COMMON}`,

  patch: `partial-upload patch URL --at N FILE

Writes the bytes of FILE into the file at URL, from position N on: all of them
or none. N is at most the size of the file at URL, which grows if the new bytes
reach beyond its end. The FILE - is the standard input.

Examples:
  partial-upload patch https://example.org/files/disk.img --at 512 sector.bin
  printf 'new' | partial-upload patch https://example.org/files/a.txt --at 0 -

Options:
  --at N            position of the first byte, counted from 0
  --content-type T  new media type of the file${COMMON}`,

  rm: `partial-upload rm URL...

Removes the file at each URL, finished or not. If there is none, the exit code
is 0 as well. A failure does not stop the removal of the others.

Examples:
  partial-upload rm https://example.org/files/film.mp4
  partial-upload rm https://example.org/files/{a,b}.txt

Options:
  -n, --dry-run     remove nothing, and print what would be removed${COMMON}`,

  completion: `partial-upload completion bash

Prints a script for bash that completes commands, options and files.

Examples:
  source <(partial-upload completion bash)
  partial-upload completion bash > /etc/bash_completion.d/partial-upload

Options:
  -h, --help        print this help`,
}

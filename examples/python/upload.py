"""Uploads FILE to URL, and resumes after every broken connection: python3 upload.py FILE URL

Exits with 0 only if the server has a file with the SHA-256 of FILE. Prints the reason otherwise."""

import base64, hashlib, http.client, itertools, os, sys, time, urllib.error, urllib.request


def upload(path, url):
    with open(path, "rb") as file:
        size, sha256, blocks = os.path.getsize(path), hashlib.sha256(), lambda: iter(lambda: file.read(1 << 20), b"")
        for block in blocks():
            sha256.update(block)
        digest = f"sha-256=:{base64.b64encode(sha256.digest()).decode()}:"
        while True:
            answer = send(url, "HEAD", {"Want-Repr-Digest": "sha-256=10"})
            if answer and answer.status == 200:
                return answer.headers["Repr-Digest"] == digest
            if answer and answer.status in (299, 404):
                start = file.seek(int(answer.headers["Content-Length"]))  # It is 0 in a 404.
                span = f"{start}-{size - 1}" if start < size else "*"  # With `*` it only declares the length.
                condition = {"If-Match": answer.headers["ETag"]} if answer.status == 299 else {"If-None-Match": "*"}
                headers = {"Content-Type": "message/byteranges", "Repr-Digest": digest, **condition}
                part_header = f"Content-Range: bytes {span}/{size}\r\n\r\n".encode()
                answer = send(url, "PATCH", headers, itertools.chain([part_header], blocks()))
            if answer is None or answer.status in (408, 412, 429, 500, 502, 503, 504) or "Retry-After" in answer.headers:
                time.sleep(1)
            elif answer.status >= 400:
                sys.exit(f"{answer.status} {answer.read().decode()}")


def send(url, method, headers, content=None):
    try:
        return urllib.request.urlopen(urllib.request.Request(url, content, headers, method=method), timeout=60)
    except urllib.error.HTTPError as refusal:
        return refusal
    except (OSError, http.client.HTTPException):
        return None


if __name__ == "__main__":
    sys.exit(None if upload(*sys.argv[1:]) else "a different file is at this URL, or the server sent no digest")

/**
 * The regular files of a tar archive (ustar), by name.
 */
export function tarFiles(archive: Buffer): Map<string, Buffer> {
  const files = new Map<string, Buffer>();
  const text = (offset: number, length: number) =>
    archive.toString("latin1", offset, offset + length).replace(/\0.*$/s, "");
  for (let offset = 0; offset + 512 <= archive.length && archive[offset] !== 0; ) {
    const name = text(offset, 100);
    const size = Number.parseInt(text(offset + 124, 12), 8);
    const type = text(offset + 156, 1);
    const data = offset + 512;
    if (!Number.isSafeInteger(size) || data + size > archive.length) throw new Error(`tar: ${name} is cut off`);
    if (type === "" || type === "0") files.set(name.replace(/^\.\//, ""), archive.subarray(data, data + size));
    offset = data + Math.ceil(size / 512) * 512;
  }
  return files;
}

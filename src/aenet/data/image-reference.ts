/** An image inside an HDF5 file, as a manifest's path names it: `final_aes_emo.h5#123`. Pure. */
export interface ImageReference {
  file: string;
  /** From 0. */
  index: number;
}

/** The file and the index of `x.h5#123` (or `.hdf5`); null for any other path, which is a file's. */
export function parseImageReference(path: string): ImageReference | null {
  const match = /^(.+\.(?:h5|hdf5))#(\d+)$/i.exec(path);
  return match === null ? null : { file: match[1]!, index: Number(match[2]) };
}

export function formatImageReference({ file, index }: ImageReference): string {
  return `${file}#${index}`;
}

/** The path whose file holds the image's bytes. */
export function fileOfPath(path: string): string {
  return parseImageReference(path)?.file ?? path;
}

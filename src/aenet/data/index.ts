/** Data sets: manifests, importers, decoding and batches. For Node; classes, labels, augment and split are pure. */
export * from "./augment.ts";
export type { Batch, Target } from "./batch.ts";
export * from "./check.ts";
export * from "./classes.ts";
export * from "./counts.ts";
export { CsvError } from "./csv.ts";
export * from "./data-set.ts";
export * from "./decode.ts";
export * from "./eval-loader.ts";
export { Hdf5Error } from "./hdf5.ts";
export * from "./image-reference.ts";
export * from "./image-source.ts";
export {
  checkManifestOut,
  formatImport,
  type ImportOptions,
  type ImportReport,
  isImageName,
  recordPath,
} from "./import.ts";
export { importArtPhoto } from "./import-artphoto.ts";
export * from "./import-ava.ts";
export * from "./import-csv.ts";
export { importFi } from "./import-fi.ts";
export { importFolder } from "./import-folder.ts";
export * from "./import-iae.ts";
export * from "./import-oasis.ts";
export * from "./labels.ts";
export { DEFAULT_WORKERS, type LoaderOptions } from "./loader.ts";
export {
  dataSha256,
  formatManifest,
  type Manifest,
  type ManifestRow,
  parseManifest,
  pathInManifest,
  readManifest,
  type Sample,
  writeManifest,
} from "./manifest.ts";
export { type PackOptions, type PackReport, packManifest } from "./pack.ts";
export { mapConcurrently, Prefetcher, type PrefetchOptions } from "./prefetch.ts";
export * from "./published.ts";
export * from "./split.ts";
export * from "./train-loader.ts";

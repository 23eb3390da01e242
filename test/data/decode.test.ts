import sharp, { type Sharp } from "sharp";
import { beforeAll, describe, expect, it } from "vitest";
import {
  DecodeError,
  type DecodeOptions,
  decodedSize,
  decodeImage,
  ImageSizeError,
} from "../../src/aenet/data/index.ts";
import { flat, gradient, temporaryFolder, write } from "./images.ts";

let folder = "";
beforeAll(async () => {
  folder = await temporaryFolder();
});

const squash: DecodeOptions = { imageSize: 28, resize: "squash" }; // R = 32
const decode = async (name: string, bytes: Uint8Array | string, options: DecodeOptions = squash) =>
  decodeImage(await write(folder, name, bytes), options);
const pixel = (image: Uint8Array, x: number, y: number, size = 32) => [
  ...image.subarray((y * size + x) * 3).subarray(0, 3),
];
/** Every pixel is this colour, to within `tolerance`. */
const expectFlat = (image: Uint8Array, colour: number[], tolerance = 0) => {
  const worst = image.reduce((most, value, i) => Math.max(most, Math.abs(value - colour[i % 3]!)), 0);
  expect(worst, `${pixel(image, 0, 0)} instead of ${colour}`).toBeLessThanOrEqual(tolerance);
};

describe("decodeImage", () => {
  it("decodes to R = round(S · 256 / 224)", () => {
    const sides = [224, 96, 64, 28, 1].map((imageSize) => decodedSize({ imageSize, resize: "squash" }));
    expect(sides).toEqual([256, 110, 73, 32, 1]);
    expect(decodedSize({ imageSize: 96, resize: "none" })).toBe(96);
  });

  it("squashes as sharp does by fill, linear, without the fast shrink", async () => {
    for (const [width, height] of [
      [50, 40],
      [300, 200],
      [20, 90],
      [1, 1],
    ] as const) {
      const bytes = await gradient(width, height).jpeg().toBuffer();
      const expected = await sharp(bytes)
        .resize(32, 32, { fit: "fill", kernel: "linear", fastShrinkOnLoad: false })
        .raw()
        .toBuffer();
      expect(Buffer.compare(await decode(`${width}.jpg`, bytes), expected)).toBe(0);
    }
  });

  it("keeps the aspect by short-side and cuts the centre", async () => {
    const image = await decode("wide.png", await gradient(128, 64).png().toBuffer(), {
      imageSize: 28,
      resize: "short-side",
    });
    expect(image.length).toBe(32 * 32 * 3);
    expect(pixel(image, 0, 0)[0]).toBeGreaterThan(60); // a quarter of the width is cut on either side
    expect(pixel(image, 31, 0)[0]).toBeLessThan(195);
    expect(pixel(image, 0, 31)[1]).toBeGreaterThan(240);
  });

  it("never resamples by none", async () => {
    const none: DecodeOptions = { imageSize: 32, resize: "none" };
    const original = await gradient(32, 32).raw().toBuffer();
    const image = await decode("exact.png", await gradient(32, 32).png().toBuffer(), none);
    expect(Buffer.compare(image, original)).toBe(0);
    const wrong = decode("wrong.png", await gradient(32, 31).png().toBuffer(), none);
    await expect(wrong).rejects.toThrow(ImageSizeError);
    await expect(wrong).rejects.toThrow(/wrong\.png: the image is 32×31.*needs 32×32/);
  });

  it("applies all eight EXIF orientations", async () => {
    const colours = { red: [250, 10, 10], green: [10, 250, 10], blue: [10, 10, 250], grey: [128, 128, 128] };
    const quarters = [colours.red, colours.green, colours.blue, colours.grey]; // as they are to be seen
    const upright = Uint8Array.from({ length: 32 * 32 * 3 }, (_, i) => {
      const [x, y] = [((i / 3) | 0) % 32, (i / 96) | 0];
      return quarters[(y >> 4) * 2 + (x >> 4)]![i % 3]!;
    });
    // How the stored pixels come from the upright ones, for each orientation.
    const stored: ((image: Sharp) => Sharp)[] = [
      (image) => image,
      (image) => image.flop(),
      (image) => image.rotate(180),
      (image) => image.flip(),
      (image) => image.flip().rotate(90), // rotates after mirroring
      (image) => image.rotate(270),
      (image) => image.flop().rotate(90),
      (image) => image.rotate(90),
    ];
    for (const [i, store] of stored.entries()) {
      const turned = store(sharp(upright, { raw: { width: 32, height: 32, channels: 3 } }));
      const bytes = await turned
        .png()
        .withMetadata({ orientation: i + 1 })
        .toBuffer();
      const image = await decode(`orientation-${i + 1}.png`, bytes);
      expect(
        [pixel(image, 4, 4), pixel(image, 27, 4), pixel(image, 4, 27), pixel(image, 27, 27)],
        `orientation ${i + 1}`,
      ).toEqual(quarters);
    }
  });

  it("replicates grey, lays alpha on white, takes 16 bits to 8", async () => {
    expectFlat(
      await decode("grey.png", await flat(40, 30, [128]).toColourspace("b-w").png().toBuffer()),
      [128, 128, 128],
    );
    expectFlat(
      await decode("grey.jpg", await flat(40, 30, [77]).toColourspace("b-w").jpeg().toBuffer()),
      [77, 77, 77],
      1,
    );
    const greyAlpha = await flat(40, 30, [100, 128]).toColourspace("b-w").png().toBuffer();
    expect((await sharp(greyAlpha).metadata()).channels).toBe(2);
    expectFlat(await decode("grey-alpha.png", greyAlpha), [177, 177, 177], 1);
    expectFlat(await decode("clear.png", await flat(40, 30, [0, 0, 0, 0]).png().toBuffer()), [255, 255, 255]);
    expectFlat(
      await decode("alpha.webp", await flat(40, 30, [255, 0, 0, 128]).webp({ lossless: true }).toBuffer()),
      [255, 127, 127],
      1,
    );

    const rgb16 = await flat(40, 30, Uint16Array.of(0x80ff, 0x4000, 0xffff))
      .toColourspace("rgb16")
      .png()
      .toBuffer();
    expect((await sharp(rgb16).metadata()).depth).toBe("ushort");
    expectFlat(await decode("16.png", rgb16), [128, 64, 255]);
    expectFlat(
      await decode("g16.png", await flat(40, 30, Uint16Array.of(0x80ff)).toColourspace("grey16").png().toBuffer()),
      [128, 128, 128],
    );
    const greyAlpha16 = await flat(40, 30, Uint16Array.of(0x4000, 0x8000)).toColourspace("grey16").png().toBuffer();
    expectFlat(await decode("ga16.png", greyAlpha16), [159, 159, 159], 1);
  });

  it("takes CMYK and colour profiles to sRGB", async () => {
    const cmyk = await flat(40, 30, [200, 60, 60]).toColourspace("cmyk").jpeg({ quality: 100 }).toBuffer();
    expect((await sharp(cmyk).metadata()).space).toBe("cmyk");
    expectFlat(await decode("cmyk.jpg", cmyk), [200, 47, 42], 6);

    // The same colour (200, 100, 50 in sRGB) in Display P3, with 8 and with 16 bits.
    const wide = await flat(40, 30, [200, 100, 50]).withIccProfile("p3").png().toBuffer();
    const { data } = await sharp(wide, { ignoreIcc: true }).raw().toBuffer({ resolveWithObject: true });
    expect([...data.subarray(0, 3)]).not.toEqual([200, 100, 50]);
    expectFlat(await decode("p3.png", wide), [200, 100, 50], 1);
    const wide16 = await flat(
      40,
      30,
      Uint16Array.from(data.subarray(0, 3), (value) => value * 257),
    )
      .toColourspace("rgb16")
      .withIccProfile("p3")
      .png()
      .toBuffer();
    const stored = await sharp(wide16, { ignoreIcc: true }).raw().toBuffer();
    expectFlat(stored, [...data.subarray(0, 3)], 1);
    expect((await sharp(wide16).metadata()).depth).toBe("ushort");
    expectFlat(await decode("p3-16.png", wide16), [200, 100, 50], 2);
  });

  it("names what is wrong with a file", async () => {
    const jpeg = await gradient(100, 80).jpeg().toBuffer();
    const png = await gradient(100, 80).png().toBuffer();
    const webp = await gradient(100, 80).webp().toBuffer();
    const half = (bytes: Buffer) => bytes.subarray(0, bytes.length >> 1);
    const damaged: [string, Uint8Array | string][] = [
      ["half.jpg", half(jpeg)],
      ["end.jpg", jpeg.subarray(0, jpeg.length - 20)],
      ["half.png", half(png)],
      ["half.webp", half(webp)],
      ["empty.jpg", ""],
      ["text.jpg", "this is not an image\n"],
    ];
    for (const [name, bytes] of damaged) {
      for (const resize of ["squash", "short-side", "none"] as const) {
        const error = await decode(name, bytes, { imageSize: 28, resize }).catch((e: unknown) => e);
        expect(error, name).toBeInstanceOf(DecodeError);
        expect((error as DecodeError).path).toMatch(name);
        expect((error as DecodeError).message).toMatch(new RegExp(`${name}: .`));
      }
    }
    await expect(decodeImage(`${folder}/gone.jpg`, squash)).rejects.toThrow("gone.jpg: no such file");
    await expect(decodeImage(folder, squash)).rejects.toThrow(DecodeError);
  });

  it("finds a truncated photograph that is shrunk while loading", async () => {
    const large = await gradient(800, 600).jpeg().toBuffer();
    await expect(decode("large.jpg", large.subarray(0, large.length - 100))).rejects.toThrow(DecodeError);
  });
});

//! Pictures of pages: read for their QR codes, and kept small for the README.

use std::collections::HashMap;

/// An RGB picture.
pub struct Picture {
    pub width: usize,
    pub height: usize,
    pixels: Vec<[u8; 3]>,
}

impl Picture {
    /// From a PNG as chromedriver makes it.
    #[track_caller]
    pub fn decode(png: &[u8]) -> Self {
        let mut decoder = png::Decoder::new(std::io::Cursor::new(png));
        decoder.set_transformations(png::Transformations::normalize_to_color8());
        let mut reader = decoder.read_info().expect("the browser gives a PNG");
        let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
        let frame = reader.next_frame(&mut bytes).unwrap();
        let samples = frame.color_type.samples();
        let grey = samples < 3;
        let pixels = bytes[..frame.buffer_size()]
            .chunks_exact(samples)
            .map(|pixel| if grey { [pixel[0]; 3] } else { [pixel[0], pixel[1], pixel[2]] })
            .collect();
        Self { width: frame.width as usize, height: frame.height as usize, pixels }
    }

    /// Red, green, blue.
    pub fn pixel(&self, x: usize, y: usize) -> [u8; 3] {
        self.pixels[y * self.width + x]
    }

    /// A PNG of at most 256 colours: the most frequent ones, and for every other the nearest of them. Pages are flat, so
    /// that nobody sees the difference, and the file is a fraction.
    pub fn encode_small(&self) -> Vec<u8> {
        let mut counts: HashMap<[u8; 3], usize> = HashMap::new();
        for pixel in &self.pixels {
            *counts.entry(*pixel).or_default() += 1;
        }
        let mut colours: Vec<([u8; 3], usize)> = counts.into_iter().collect();
        colours.sort_by_key(|(colour, count)| (std::cmp::Reverse(*count), *colour));
        let mut palette: Vec<[u8; 3]> = Vec::new();
        // Colours that the eye cannot tell apart do not each take a place.
        for (colour, _) in &colours {
            if palette.len() < 256 && palette.iter().all(|known| distance(*known, *colour) > 3) {
                palette.push(*colour);
            }
        }
        let nearest: HashMap<[u8; 3], u8> = colours
            .iter()
            .map(|(colour, _)| {
                let index = (0..palette.len()).min_by_key(|index| distance(palette[*index], *colour)).unwrap();
                (*colour, u8::try_from(index).unwrap())
            })
            .collect();
        let indices: Vec<u8> = self.pixels.iter().map(|pixel| nearest[pixel]).collect();
        let mut file = Vec::new();
        let mut encoder =
            png::Encoder::new(&mut file, u32::try_from(self.width).unwrap(), u32::try_from(self.height).unwrap());
        encoder.set_color(png::ColorType::Indexed);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_palette(palette.concat());
        encoder.set_compression(png::Compression::High);
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(&indices).unwrap();
        writer.finish().unwrap();
        file
    }
}

fn distance(a: [u8; 3], b: [u8; 3]) -> u32 {
    a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(b)).pow(2)).sum()
}

// `accord log tiles`: a log's tree and entries as static files (C2SP tlog-tiles), for monitors and mirrors.
import { Command } from 'commander';
import { exportTiles } from '#core/log/export-tiles.ts';
import { type OutputOptions, print, runAction, withOutput } from './output.ts';

type TilesOptions = OutputOptions & { dir: string; origin?: string; out: string };

/** @param placeOf the folder of a log in a data folder */
export function tilesCommand(placeOf: (options: TilesOptions) => { folder: string }): Command {
  return withOutput(
    new Command('tiles')
      .description('write tiles, entry bundles and checkpoint into a folder; run again, only what is new')
      .requiredOption('--dir <folder>', "the server's data folder")
      .requiredOption('--out <folder>', 'where the tiles go; any web server can serve it')
      .option('--origin <origin>', 'a closed log: its origin, or its number'),
  ).action(
    runAction((options: TilesOptions) => {
      print(exportTiles(placeOf(options).folder, options.out), options);
    }),
  );
}

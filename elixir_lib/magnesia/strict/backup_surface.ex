defmodule Magnesia.Strict.BackupSurface do
  @moduledoc """
  The part of `:magnesia`'s surface that is about checkpoints, backups and fallbacks: `use` puts
  these functions into the module. Only names, arguments and documentation stand here.
  """

  @doc false
  defmacro __using__(_options) do
    quote do
      require Magnesia.Strict.BackupSurface, as: BackupSurface

      BackupSurface.saving()
      BackupSurface.restoring()
      BackupSurface.falling_back()
    end
  end

  @doc false
  defmacro saving do
    quote do
      @typedoc "What a backup module finds a backup by: with Mnesia's own, a file's name."
      @type backup_place :: term()

      @doc "Keeps tables as they are now, until the checkpoint is deactivated."
      @spec activate_checkpoint([{atom(), term()}]) :: {:ok, term(), [node()]} | {:error, term()}
      defdelegate activate_checkpoint(options), to: Magnesia.Strict.Checkpoints, as: :activate

      @doc "Lets a checkpoint go."
      @spec deactivate_checkpoint(term()) :: :ok | {:error, term()}
      defdelegate deactivate_checkpoint(name), to: Magnesia.Strict.Checkpoints, as: :deactivate

      @doc "Writes all tables to a backup; of those in memory what was dumped last."
      @spec backup(backup_place()) :: :ok | {:error, term()}
      defdelegate backup(place), to: Magnesia.Strict.Backup

      @doc "As `backup/1`, with a backup module or options."
      @spec backup(backup_place(), module() | list()) :: :ok | {:error, term()}
      defdelegate backup(place, options), to: Magnesia.Strict.Backup

      @doc "Writes a checkpoint's tables to a backup."
      @spec backup_checkpoint(term(), backup_place()) :: :ok | {:error, term()}
      defdelegate backup_checkpoint(name, place), to: Magnesia.Strict.Backup

      @doc "As `backup_checkpoint/2`, with a backup module or options."
      @spec backup_checkpoint(term(), backup_place(), module() | list()) :: :ok | {:error, term()}
      defdelegate backup_checkpoint(name, place, options), to: Magnesia.Strict.Backup

      @doc "Writes all tables as text."
      @spec dump_to_textfile(Path.t() | charlist()) :: :ok | :error | {:error, term()}
      defdelegate dump_to_textfile(file), to: Magnesia.Strict.Textfile
    end
  end

  @doc false
  defmacro restoring do
    quote do
      @doc "Gives tables the rows of a backup, all of them or none."
      @spec restore(backup_place(), list()) :: outcome()
      defdelegate restore(place, options), to: Magnesia.Strict.Restoration

      @doc "Goes over a backup and makes another of what a fun returns for each item."
      @spec traverse_backup(backup_place(), backup_place(), fun(), term()) ::
              {:ok, term()} | {:error, term()}
      defdelegate traverse_backup(source, target, fun, acc), to: Magnesia.Strict.Traversal

      @doc "As `traverse_backup/4`, with the backup modules of both."
      @spec traverse_backup(backup_place(), module(), backup_place(), module(), fun(), term()) ::
              {:ok, term()} | {:error, term()}
      defdelegate traverse_backup(source, module, target, target_module, fun, acc),
        to: Magnesia.Strict.Traversal

      @doc "Makes the tables of a text and writes its rows."
      @spec load_textfile(Path.t() | charlist()) :: outcome() | {:error, term()}
      defdelegate load_textfile(file), to: Magnesia.Strict.Textfile
    end
  end

  @doc false
  defmacro falling_back do
    quote do
      @doc "Has the next start take the whole database from a backup."
      @spec install_fallback(backup_place()) :: :ok | {:error, term()}
      defdelegate install_fallback(place), to: Magnesia.Strict.Fallback

      @doc "As `install_fallback/1`, with a backup module or options."
      @spec install_fallback(backup_place(), module() | list()) :: :ok | {:error, term()}
      defdelegate install_fallback(place, options), to: Magnesia.Strict.Fallback

      @doc "Takes the fallback back before it is used."
      @spec uninstall_fallback() :: :ok | {:error, term()}
      defdelegate uninstall_fallback(), to: Magnesia.Strict.Fallback

      @doc "As `uninstall_fallback/0`, with options."
      @spec uninstall_fallback([{atom(), term()}]) :: :ok | {:error, term()}
      defdelegate uninstall_fallback(options), to: Magnesia.Strict.Fallback
    end
  end
end
